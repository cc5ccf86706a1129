// ExpirySweep: when the cache is swept for expired and flushed items, and how fast.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "slab/cache.h"
#include "slab/engine/page_walk.h"
#include "slab/lane.h"

namespace larder::slab {

// ExpirySweep walks over all chunks, pass after pass, and frees the items that have expired or were
// flushed. A pass is cut into slices that are so short that a worker that waits for the processor,
// or for the lock of a class, waits little.
//
//   pass    |slice| pause |slice| pause | ...     kPassTime long at up to kChunksPerSecondMax
//
// While memory is full, what is dead costs something that is alive its place. Then a pass takes
// kPassTimeFull at most, and less while passes find much: each that frees more than one chunk in
// kManyFreed makes the next one twice as fast, down to kPassTimeMin, and each that frees fewer than
// one in kFewFreed makes it twice as slow. So the dead take some hundredths of the memory at most,
// as far as kChunksPerSecondMax allows.
//
// The pass after a flush is hurried: it goes at kChunksPerSecondMax, and does not wait for the end
// of a pass that is not.
//
// While slices take longer than planned, because the machine is busy, the pause is doubled. A pass
// begins when the clock's second has changed, and only while items may have to be freed: one of the
// last two passes met an item with an expiry, or an expiry was given or a flush happened since they
// began. Lane::expiries counts the expiries that were given. This is only a hint: in any case a
// pass comes every kSettledPassS seconds. If no expiry was ever given, one pass is enough to show
// that there is nothing to find.
//
// Threads:    Slice: one thread. All other methods are atomic; a change takes effect with the next
//             slice.
// Owns:       nothing; the cache must outlive it.
class ExpirySweep {
 public:
  using Clock = std::chrono::steady_clock;

  // How long a pass takes in caches that are not too large.
  static constexpr std::chrono::seconds kPassTime{25};
  // The same while memory is full: at first, and when much is found.
  static constexpr std::chrono::seconds kPassTimeFull{10};
  static constexpr std::chrono::seconds kPassTimeMin{1};
  static constexpr std::uint64_t kManyFreed = 50;
  static constexpr std::uint64_t kFewFreed = 200;
  // 10 million in 20 seconds.
  static constexpr std::uint64_t kChunksPerSecondMax = 500'000;
  // Chunks of a normal slice.
  static constexpr std::uint32_t kSliceChunks = 1024;
  // Chunks of a slice after a pause that was longer than planned.
  static constexpr std::uint32_t kSliceChunksMax = 2 * kSliceChunks;
  // A slice that takes longer than this shows that the machine is busy.
  static constexpr std::chrono::microseconds kSliceTimeMax{1000};
  // The longest pause between two calls of Slice.
  static constexpr std::chrono::microseconds kPauseMax{50'000};
  // Seconds between passes while nothing may have to be freed.
  static constexpr std::uint32_t kSettledPassS = 600;
  // The default of pause_min_us().
  static constexpr std::uint32_t kPauseAtLeastUsDefault = 100;

  explicit ExpirySweep(Cache& cache) : cache_(cache) {}

  // Does what is due, and returns how long to wait before the next call. `lane` has the time by
  // which items expire.
  std::chrono::microseconds Slice(Clock::time_point now, Lane& lane);

  // Switches the sweep on. Returns false if it was on.
  bool Enable() { return !is_enabled_.exchange(true, std::memory_order_relaxed); }
  // Switches the sweep off; a pass that runs is abandoned.
  void Disable() { is_enabled_.store(false, std::memory_order_relaxed); }
  bool is_enabled() const { return is_enabled_.load(std::memory_order_relaxed); }

  // Makes a pass begin, whether or not there is anything to find. Returns false if a pass that was
  // requested before is not over.
  bool RequestPass() { return !is_wanted_.exchange(true, std::memory_order_relaxed); }

  // Sets the shortest pause in microseconds, and the most chunks of a slice (0: no bound but the
  // slice's own).
  void set_pause_min_us(std::uint32_t us) { pause_min_us_.store(us, std::memory_order_relaxed); }
  void set_slice_max(std::uint32_t chunks) { slice_max_.store(chunks, std::memory_order_relaxed); }
  std::uint32_t pause_min_us() const { return pause_min_us_.load(std::memory_order_relaxed); }
  std::uint32_t slice_max() const { return slice_max_.load(std::memory_order_relaxed); }

  // True while a pass is in progress.
  bool is_running() const { return is_running_.load(std::memory_order_relaxed); }
  // Passes that have begun since the start.
  std::uint64_t passes_begun() const { return passes_begun_.load(std::memory_order_relaxed); }

 private:
  // What changes when something new may expire or was flushed.
  struct Signs {
    // Expiries given, over all lanes.
    std::uint64_t expiries = 0;
    // Cache::flush_mark().
    std::uint64_t flush_mark = 0;
    bool operator==(const Signs&) const = default;
  };

  Signs ReadSigns() const;
  // True if a pass should begin now.
  bool IsPassDue(const Lane& lane) const;
  void BeginPass(Clock::time_point now, const Lane& lane);
  void EndPass(const Lane& lane);
  // Whether a flush happened in the middle of a pass that takes its time.
  bool IsHurryDue() const;
  // How long the pass that begins now shall take, from what the last one has freed.
  std::chrono::seconds ChoosePassTime() const;
  // The speed of the pass: so that it takes pass_time_, or the highest one if it is hurried.
  std::uint64_t ChunksPerSecond() const;
  // The chunks of the next slice.
  std::uint32_t ChunksDue(Clock::time_point now) const;
  // Walks over so many chunks, or to the end of the pass.
  void Walk(std::uint32_t chunks, Lane& lane);

  Cache& cache_;

  // Written by any thread that gives a command, read by Slice.
  std::atomic<bool> is_enabled_{true};
  // A pass was requested. EndPass clears it.
  std::atomic<bool> is_wanted_{false};
  std::atomic<std::uint32_t> pause_min_us_{kPauseAtLeastUsDefault};
  std::atomic<std::uint32_t> slice_max_{0};
  // Written by Slice, read by any thread.
  std::atomic<bool> is_running_{false};
  std::atomic<std::uint64_t> passes_begun_{0};

  // The present pass, or the last one.
  PageWalk walk_;
  // Chunks walked over so far.
  std::uint64_t walked_ = 0;
  // Of these: chunks that were freed.
  std::uint64_t freed_ = 0;
  // The same of the pass before.
  std::uint64_t walked_last_pass_ = 0;
  std::uint64_t freed_last_pass_ = 0;
  // How long the pass shall take.
  std::chrono::seconds pass_time_ = kPassTime;
  // The pass began after RequestPass, so its end answers the request.
  bool answers_request_ = false;
  // The pass is the first one after a flush.
  bool is_hurried_ = false;
  // The pass met an item that may have to be freed later.
  bool has_found_some_ = false;
  // When the pass began, by the lane's clock, and the signs at that moment.
  std::uint32_t begun_at_s_ = 0;
  Signs signs_at_begin_;

  // The number of passes, since the signs changed last, that met nothing that may have to be freed
  // later. One such pass is not enough, because a store that was in progress may have been missed.
  int barren_passes_ = 0;
  static constexpr int kBarrenPassesEnough = 2;

  Clock::time_point last_slice_;
  // The last slice took too long.
  bool is_loaded_ = false;
};

}  // namespace larder::slab
