// MissedKeys: evicted keys that a thread has missed lately.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>

#include "slab/eviction/ghosts.h"
#include "slab/ids.h"

namespace larder::slab {

// A get that found nothing because the item had been evicted.
struct MissedKey {
  std::uint64_t hash = 0;
  // What the class remembered of its eviction.
  Ghost ghost;
  // The round in which it was missed.
  std::uint32_t round = 0;
  // The class that the key was evicted from.
  ClassId class_id = 0;
};

// MissedKeys is a queue of kSlots misses at most: a sample, if there are more. Time is counted in
// rounds.
//
// Threads:    Count, Add and MayEmpty: one thread. BeginRound and Take: one thread at a time, the
//             counting one or another. They never wait. The numbers of misses: any thread.
// Owns:       the queue.
class MissedKeys {
 public:
  static constexpr std::uint32_t kSlots = 256;

  // Counts a miss. Returns true if it is one of the sample, as at most kSlots in a round are; then
  // it may be added.
  bool Count() noexcept {
    counted_.store(counted() + 1, std::memory_order_relaxed);
    const std::uint32_t round = round_.load(std::memory_order_relaxed);
    if (std::exchange(sampled_round_, round) != round) sampled_in_round_ = emptied_in_round_ = 0;
    const std::uint32_t begin = begin_.load(std::memory_order_acquire);
    if (end_.load(std::memory_order_relaxed) - begin == kSlots) return false;
    if (sampled_in_round_ == kSlots) return false;
    ++sampled_in_round_;
    sampled_.store(sampled() + 1, std::memory_order_relaxed);
    return true;
  }
  // Whether the magazines of the class may be emptied to find the ghost of the miss that was
  // counted last: that is allowed kEmptiesMax times in a round, because it costs the stores of all
  // lanes.
  static constexpr std::uint32_t kEmptiesMax = 4;
  bool MayEmpty() noexcept { return emptied_in_round_++ < kEmptiesMax; }
  // Adds the miss that was counted last; its round is set here. REQUIRES: Count() was true.
  void Add(MissedKey missed) noexcept {
    const std::uint32_t end = end_.load(std::memory_order_relaxed);
    missed.round = round_.load(std::memory_order_relaxed);
    slots_[end % kSlots] = missed;
    end_.store(end + 1, std::memory_order_release);
  }

  // Misses since the start: all that were counted, and those of the sample.
  std::uint64_t counted() const noexcept { return counted_.load(std::memory_order_relaxed); }
  std::uint64_t sampled() const noexcept { return sampled_.load(std::memory_order_relaxed); }
  void BeginRound() noexcept { round_.fetch_add(1, std::memory_order_relaxed); }
  // Takes the oldest miss out, if it was missed at least so many rounds ago.
  std::optional<MissedKey> Take(std::uint32_t rounds) noexcept {
    const std::uint32_t begin = begin_.load(std::memory_order_relaxed);
    if (begin == end_.load(std::memory_order_acquire)) return std::nullopt;
    const MissedKey missed = slots_[begin % kSlots];
    if (round_.load(std::memory_order_relaxed) - missed.round < rounds) return std::nullopt;
    begin_.store(begin + 1, std::memory_order_release);
    return missed;
  }

 private:
  std::array<MissedKey, kSlots> slots_;
  // The number of the first miss in the queue, and of the next one. They wrap.
  std::atomic<std::uint32_t> begin_{0};
  std::atomic<std::uint32_t> end_{0};
  // Wraps.
  std::atomic<std::uint32_t> round_{0};
  // Written by the counting thread.
  std::atomic<std::uint64_t> counted_{0};
  std::atomic<std::uint64_t> sampled_{0};
  // For the counting thread: the round of the last miss, those of the sample in it, and how often
  // MayEmpty was asked in it.
  std::uint32_t sampled_round_ = 0;
  std::uint32_t sampled_in_round_ = 0;
  std::uint32_t emptied_in_round_ = 0;
};

}  // namespace larder::slab
