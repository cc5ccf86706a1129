// EvictionState: what eviction stores about an item, in one byte of the item's header.
#pragma once

#include <atomic>
#include <cstdint>

#include "slab/check.h"

namespace larder::slab {

// The two queues of a class; see slab/eviction/eviction_queue.h.
enum class Segment : std::uint8_t { kProbation, kMain };

// EvictionState is the segment of an item with the hits that eviction has counted for it, in one
// byte.
//
//   0 ... 248   on probation, no hit counted; born at this tick of the class's ProbationClock
//   249, 250    on probation, one hit counted, or more
//   251         in main, came there with one hit, and no hit counted since: a newcomer
//   252 ... 255 in main, 0 to 3 hits counted
//
// The birth tick is needed only until the first hit counts, so a byte is enough for all states.
//
// Threads:    immutable value.
class EvictionState {
 public:
  // Ticks of a ProbationClock count modulo this number. The code of a birth is its tick.
  static constexpr std::uint32_t kTicks = 249;
  // The most hits that main counts.
  static constexpr std::uint32_t kHitsMax = 3;

  // The state of a new item on probation. REQUIRES: tick < kTicks.
  static constexpr EvictionState Born(std::uint32_t tick) {
    LARDER_ASSERT(tick < kTicks);
    return EvictionState(tick);
  }
  // The state of an item on probation with a hit that counted, and with more of them.
  static constexpr EvictionState HitOnProbation() { return EvictionState(kHitCode); }
  static constexpr EvictionState HitTwiceOnProbation() { return EvictionState(kHitTwiceCode); }
  // The state of an item that has just come to main with one hit.
  static constexpr EvictionState Newcomer() { return EvictionState(kNewcomerCode); }
  // The state of an item in main. REQUIRES: hits <= kHitsMax.
  static constexpr EvictionState Main(std::uint32_t hits) {
    LARDER_ASSERT(hits <= kHitsMax);
    return EvictionState(kMainCode + hits);
  }
  // The state with this code(). All codes of a byte are valid. REQUIRES: code <= 255.
  static constexpr EvictionState FromCode(std::uint32_t code) {
    LARDER_ASSERT(code <= 255);
    return EvictionState(code);
  }

  // The byte that an item stores.
  constexpr std::uint32_t code() const { return code_; }
  constexpr Segment segment() const {
    return code_ >= kNewcomerCode ? Segment::kMain : Segment::kProbation;
  }
  // The hits that were counted: 0 to 2 on probation, 0 to kHitsMax in main.
  constexpr std::uint32_t hits() const {
    if (code_ >= kMainCode) return code_ - kMainCode;
    if (code_ >= kNewcomerCode || code_ < kHitCode) return 0;
    return code_ - kHitCode + 1;
  }
  // The tick at which the item came to probation. REQUIRES: the item is on probation and no hit was
  // counted.
  constexpr std::uint32_t birth_tick() const {
    LARDER_ASSERT(code_ < kTicks);
    return code_;
  }
  constexpr bool operator==(const EvictionState&) const = default;

 private:
  static constexpr std::uint32_t kHitCode = kTicks;
  static constexpr std::uint32_t kHitTwiceCode = kHitCode + 1;
  static constexpr std::uint32_t kNewcomerCode = kHitTwiceCode + 1;
  static constexpr std::uint32_t kMainCode = kNewcomerCode + 1;
  static_assert(kMainCode + kHitsMax == 255);

  explicit constexpr EvictionState(std::uint32_t code) : code_(static_cast<std::uint8_t>(code)) {}

  std::uint8_t code_;
};

// ProbationClock measures time on the probation queue of one class by the items that arrive there:
// a tick is about a 32nd of the items that the queue holds. It decides whether an item is old
// enough for a hit to count, because a repeated access shortly after the store says little about
// later use.
//
// Threads:    atomic. The reading is written under the class's lock and read without it at every
//             hit that may count. No other data depend on the reading, so its memory order is
//             relaxed. state(), Restore() and CountArrival(): caller locks the class.
// Owns:       the reading, and the number of arrivals to the next tick.
class ProbationClock {
 public:
  // Ticks in which the queue is renewed once.
  static constexpr std::uint32_t kTicksPerSegment = 32;
  // An item is young while it is in the newest 4th of the queue.
  static constexpr std::uint32_t kYoungDivisor = 4;

  // Returns the state of an item after one more hit. A hit of a young item on probation does not
  // change the state.
  EvictionState AfterHit(EvictionState state) const {
    if (state.segment() == Segment::kMain) {
      return state.hits() < EvictionState::kHitsMax ? EvictionState::Main(state.hits() + 1) : state;
    }
    if (state.hits() != 0) return EvictionState::HitTwiceOnProbation();
    const Reading now = reading_.load(std::memory_order_relaxed);
    // The age in ticks, across the wrap at kTicks.
    const std::uint32_t since = now.tick - state.birth_tick();
    const std::uint32_t age =
        now.tick >= state.birth_tick() ? since : since + EvictionState::kTicks;
    return age >= now.young_ticks ? EvictionState::HitOnProbation() : state;
  }

  // The present tick.
  std::uint32_t tick() const { return reading_.load(std::memory_order_relaxed).tick; }
  // Items on probation that are younger than this number of ticks are young.
  std::uint32_t young_ticks() const { return reading_.load(std::memory_order_relaxed).young_ticks; }

  // The complete state of the clock, so that it continues after a restart. For state() and
  // Restore(): REQUIRES: the class is locked.
  struct State {
    std::uint32_t tick = 0;
    std::uint32_t young_ticks = 0;
    // Items that have to arrive before the next tick.
    std::uint64_t arrivals_to_tick = 1;

    // False if no clock can have this state: the saved data are damaged.
    bool IsPossible() const {
      return tick < EvictionState::kTicks && young_ticks < EvictionState::kTicks &&
             arrivals_to_tick != 0;
    }
  };
  State state() const { return {tick(), young_ticks(), arrivals_to_tick_}; }
  // Continues from a saved state. REQUIRES: state.IsPossible().
  void Restore(const State& state) {
    LARDER_ASSERT(state.IsPossible());
    arrivals_to_tick_ = state.arrivals_to_tick;
    reading_.store({.tick = static_cast<std::uint8_t>(state.tick),
                    .young_ticks = static_cast<std::uint8_t>(state.young_ticks)},
                   std::memory_order_relaxed);
  }

  // Lets a tick pass without an arrival. REQUIRES: the class is locked.
  void Tick() {
    const Reading now = reading_.load(std::memory_order_relaxed);
    reading_.store({.tick = static_cast<std::uint8_t>((now.tick + 1U) % EvictionState::kTicks),
                    .young_ticks = now.young_ticks},
                   std::memory_order_relaxed);
  }

  // Counts an item that comes to probation, where there are `count` items with it. REQUIRES: the
  // class is locked.
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
  // Both parts change together, in one atomic. Without the alignment clang calls a library
  // function.
  struct alignas(2) Reading {
    std::uint8_t tick;
    std::uint8_t young_ticks;
  };
  static_assert(std::atomic<Reading>::is_always_lock_free);

  std::atomic<Reading> reading_{Reading{.tick = 0, .young_ticks = 0}};
  // Guarded by the class's lock. It has a cache line of its own, because it changes much more often
  // than the reading.
  alignas(64) std::uint64_t arrivals_to_tick_ = 1;
};

}  // namespace larder::slab
