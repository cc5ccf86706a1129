// How an item stands with the eviction of its class: one byte of its header.
#pragma once

#include <atomic>
#include <cstdint>

#include "slab/check.h"

namespace larder::slab {

// The two queues of a class, see slab/eviction/eviction_queue.h.
enum class Segment : std::uint8_t { kProbation, kMain };

// EvictionState is an item's segment with what eviction knows of its hits.
//
//   0 ... 250   on probation, no hit counted; born at this tick of the class's ProbationClock
//   251         on probation, hit
//   252 ... 255 in main, hits counted to 3
//
// A birth is of no interest any more once a hit counts, so a byte holds it all.
class EvictionState {
 public:
  static constexpr std::uint32_t kTicks = 251;  // Ticks count modulo this.
  static constexpr std::uint32_t kHitsMax = 3;

  // REQUIRES: tick < kTicks.
  static constexpr EvictionState Born(std::uint32_t tick) {
    LARDER_ASSERT(tick < kTicks);
    return EvictionState(tick);
  }
  static constexpr EvictionState HitOnProbation() { return EvictionState(kHitCode); }
  // REQUIRES: hits <= kHitsMax.
  static constexpr EvictionState Main(std::uint32_t hits) {
    LARDER_ASSERT(hits <= kHitsMax);
    return EvictionState(kMainCode + hits);
  }
  static constexpr EvictionState FromCode(std::uint32_t code) { return EvictionState(code); }

  constexpr std::uint32_t code() const { return code_; }
  constexpr Segment segment() const {
    return code_ >= kMainCode ? Segment::kMain : Segment::kProbation;
  }
  // Hits that count; on probation one at most.
  constexpr std::uint32_t hits() const {
    if (code_ >= kMainCode) return code_ - kMainCode;
    return code_ == kHitCode ? 1 : 0;
  }
  // REQUIRES: on probation, without a hit.
  constexpr std::uint32_t birth_tick() const {
    LARDER_ASSERT(code_ < kTicks);
    return code_;
  }
  constexpr bool operator==(const EvictionState&) const = default;

 private:
  static constexpr std::uint32_t kHitCode = kTicks;
  static constexpr std::uint32_t kMainCode = kHitCode + 1;
  static_assert(kMainCode + kHitsMax == 255);

  explicit constexpr EvictionState(std::uint32_t code) : code_(static_cast<std::uint8_t>(code)) {}

  std::uint8_t code_;
};

// What a hit has to know of its class: the time on probation, in ticks of about a 32nd of the items
// that are there, and who is too young for a hit to count. Repeats right behind a store say little.
//
// Threads: atomic. Written under the class's lock, read at every hit that may count; nothing else
//          hangs on it, so its order is relaxed.
class ProbationClock {
 public:
  static constexpr std::uint32_t kTicksPerSegment = 32;
  static constexpr std::uint32_t kYoungDivisor = 4;  // Young: below a 4th of the segment.

  // What the eviction state becomes by a hit.
  EvictionState AfterHit(EvictionState state) const {
    if (state.segment() == Segment::kMain) {
      return state.hits() < EvictionState::kHitsMax ? EvictionState::Main(state.hits() + 1) : state;
    }
    if (state.hits() != 0) return state;
    const Reading now = reading_.load(std::memory_order_relaxed);
    const std::uint32_t since = now.tick - state.birth_tick();
    const std::uint32_t age =
        now.tick >= state.birth_tick() ? since : since + EvictionState::kTicks;
    return age >= now.young_ticks ? EvictionState::HitOnProbation() : state;
  }

  std::uint32_t tick() const { return reading_.load(std::memory_order_relaxed).tick; }
  std::uint32_t young_ticks() const { return reading_.load(std::memory_order_relaxed).young_ticks; }

  // All of it, to be the same clock after a restart. Both: REQUIRES: the class's lock.
  struct State {
    std::uint32_t tick = 0;
    std::uint32_t young_ticks = 0;
    std::uint64_t arrivals_to_tick = 1;

    bool IsPossible() const {
      return tick < EvictionState::kTicks && young_ticks < EvictionState::kTicks &&
             arrivals_to_tick != 0;
    }
  };
  State state() const { return {tick(), young_ticks(), arrivals_to_tick_}; }
  // REQUIRES: state.IsPossible().
  void Restore(const State& state) {
    LARDER_ASSERT(state.IsPossible());
    arrivals_to_tick_ = state.arrivals_to_tick;
    reading_.store({.tick = static_cast<std::uint8_t>(state.tick),
                    .young_ticks = static_cast<std::uint8_t>(state.young_ticks)},
                   std::memory_order_relaxed);
  }

  // Notes that an item comes to probation, where `count` are then. REQUIRES: the class's lock.
  void CountArrival(std::uint64_t count) {
    LARDER_ASSERT(arrivals_to_tick_ > 0);
    if (--arrivals_to_tick_ != 0) return;
    const std::uint64_t step = count < kTicksPerSegment ? 1 : count / kTicksPerSegment;
    arrivals_to_tick_ = step;
    const std::uint64_t young_ticks = (count + kYoungDivisor / 2 * step) / (kYoungDivisor * step);
    reading_.store({.tick = static_cast<std::uint8_t>((tick() + 1) % EvictionState::kTicks),
                    .young_ticks = static_cast<std::uint8_t>(young_ticks)},
                   std::memory_order_relaxed);
  }

 private:
  // Aligned, or clang calls a library for it.
  struct alignas(2) Reading {
    std::uint8_t tick;
    std::uint8_t young_ticks;
  };
  static_assert(std::atomic<Reading>::is_always_lock_free);

  std::atomic<Reading> reading_{Reading{.tick = 0, .young_ticks = 0}};
  // Caller locks the class. Of its own line: it changes much more often than the reading.
  alignas(64) std::uint64_t arrivals_to_tick_ = 1;
};

}  // namespace larder::slab
