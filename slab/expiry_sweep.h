// When the cache is swept for dead items, and how fast.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "slab/cache.h"
#include "slab/engine/page_walk.h"
#include "slab/lane.h"

namespace larder::slab {

// ExpirySweep walks over all chunks, pass after pass, and frees what expired or was flushed. A pass
// is cut into slices, so short that a worker that waits for the processor, or for the lock of a
// class, waits little.
//
//   pass    |slice| pause |slice| pause | ...     kPassTime long at up to kChunksPerSecondMax
//
// While slices take longer than planned, because the machine is busy, the pause doubles. Passes
// begin when the clock's second has changed, and only while something can die: an item with an
// expiry was met in one of the last two passes, or an expiry was given or a flush came since they
// began. Lane::expiries counts the former. It is a hint: with or without it a pass comes every
// kSettledPassS. While none was ever given, one pass shows that there is nothing to find.
//
// Threads: Slice: one thread. All else: atomic; a change shows from the next slice on.
// Owns:    nothing; the cache must outlive it.
class ExpirySweep {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr std::chrono::seconds kPassTime{25};
  static constexpr std::uint64_t kChunksPerSecondMax = 500'000;  // 10 million in 20 seconds.
  static constexpr std::uint32_t kSliceChunks = 1024;
  // After a pause that came out too long.
  static constexpr std::uint32_t kSliceChunksMax = 2 * kSliceChunks;
  static constexpr std::chrono::microseconds kSliceTimeMax{1000};
  static constexpr std::chrono::microseconds kPauseMax{50'000};
  static constexpr std::uint32_t kSettledPassS = 600;
  static constexpr std::uint32_t kPauseAtLeastUsDefault = 100;

  explicit ExpirySweep(Cache& cache) : cache_(cache) {}

  // Does what is due, and returns how long to pause. `lane` has the time that items expire by.
  std::chrono::microseconds Slice(Clock::time_point now, Lane& lane);

  // False if it was on.
  bool Enable() { return !is_enabled_.exchange(true, std::memory_order_relaxed); }
  void Disable() { is_enabled_.store(false, std::memory_order_relaxed); }
  bool is_enabled() const { return is_enabled_.load(std::memory_order_relaxed); }

  // Has a pass begin, whatever there is to find. False if one that was asked for is not over.
  bool RequestPass() { return !is_wanted_.exchange(true, std::memory_order_relaxed); }

  // The pause is at least this long, a slice at most so many chunks (0: no bound but its own).
  void set_pause_min_us(std::uint32_t us) { pause_min_us_.store(us, std::memory_order_relaxed); }
  void set_slice_max(std::uint32_t chunks) { slice_max_.store(chunks, std::memory_order_relaxed); }
  std::uint32_t pause_min_us() const { return pause_min_us_.load(std::memory_order_relaxed); }
  std::uint32_t slice_max() const { return slice_max_.load(std::memory_order_relaxed); }

  bool is_running() const { return is_running_.load(std::memory_order_relaxed); }
  std::uint64_t passes_begun() const { return passes_begun_.load(std::memory_order_relaxed); }

 private:
  // What changes when something new can die.
  struct Signs {
    std::uint64_t expiries = 0;
    std::uint64_t flush_mark = 0;
    bool operator==(const Signs&) const = default;
  };

  Signs ReadSigns() const;
  bool IsPassDue(const Lane& lane) const;
  void BeginPass(Clock::time_point now, const Lane& lane);
  void EndPass();
  std::uint64_t ChunksPerSecond() const;
  std::uint32_t ChunksDue(Clock::time_point now) const;
  // Up to the end of the pass.
  void Walk(std::uint32_t chunks, Lane& lane);

  Cache& cache_;

  // Written by anyone who gives a command, read by Slice.
  std::atomic<bool> is_enabled_{true};
  std::atomic<bool> is_wanted_{false};  // And taken back by EndPass.
  std::atomic<std::uint32_t> pause_min_us_{kPauseAtLeastUsDefault};
  std::atomic<std::uint32_t> slice_max_{0};
  // Written by Slice, read by anyone.
  std::atomic<bool> is_running_{false};
  std::atomic<std::uint64_t> passes_begun_{0};

  // Of the pass, or the last one.
  PageWalk walk_;
  std::uint64_t walked_ = 0;  // Chunks.
  std::uint64_t walked_last_pass_ = 0;
  bool answers_request_ = false;
  bool has_found_some_ = false;  // That may die later.
  std::uint32_t begun_at_s_ = 0;
  Signs signs_at_begin_;

  // As long as the signs stay: passes that found nothing that may die. One alone could have been
  // overtaken by a store that was under way.
  int barren_passes_ = 0;
  static constexpr int kBarrenPassesEnough = 2;

  Clock::time_point last_slice_;
  bool is_loaded_ = false;  // The last slice took too long.
};

}  // namespace larder::slab
