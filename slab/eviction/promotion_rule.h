// PromotionRule: how many hits an item needs to leave probation for main.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>

#include "slab/ids.h"
#include "slab/item/eviction_state.h"

namespace larder::slab {

// PromotionRule decides, for one class, which candidates have earned to stay. Usually one hit on
// probation is enough for main. But where items are read once and never again, as sessions and
// messages are, main would fill up with them. So the rule watches the newcomers, those that came
// with one hit: if nine in ten of them are evicted before another hit, two hits are needed. Then
// every kProbe-th item with one hit still goes to main, to see whether that is still so.
//
// Threads:    IfSpared and CountHit: any thread. CountWasted: caller locks the class.
// Owns:       the counts of newcomers.
// Source:     the limits were found with the traces of tests/README.md, in which 55 to 70 newcomers
//             in 100 are wasted, and with sessions among other traffic, with more than 99.
class PromotionRule {
 public:
  // Two hits are needed from so many wasted newcomers in 100 on, and one below so many.
  static constexpr std::uint64_t kWastedForTwo = 90;
  static constexpr std::uint64_t kWastedForOne = 80;
  // One in this many items with one hit is let through.
  static constexpr std::uint32_t kProbe = 16;
  // Newcomers between two decisions: one for so many items of the class, but not fewer than the
  // least. The same while only probes come.
  static constexpr std::uint64_t kWindowDivisor = 8;
  static constexpr std::uint64_t kWindowMin = 256;
  static constexpr std::uint64_t kProbeWindowDivisor = 128;
  static constexpr std::uint64_t kProbeWindowMin = 64;

  // The state in main that a candidate with this state gets if it has earned to stay; nothing if it
  // has not.
  std::optional<EvictionState> IfSpared(EvictionState state, ItemRef ref) const {
    const std::uint32_t hits = state.hits();
    if (hits == 0) return std::nullopt;
    if (state.segment() == Segment::kMain) return EvictionState::Main(hits - 1);
    if (hits > 1) return EvictionState::Main(0);
    if (needs_two_hits() && !IsProbe(ref)) return std::nullopt;
    return EvictionState::Newcomer();
  }
  bool needs_two_hits() const { return needs_two_hits_.load(std::memory_order_relaxed); }

  // Counts a newcomer that was hit.
  void CountHit() const { hit_.fetch_add(1, std::memory_order_relaxed); }
  // Counts a newcomer that was evicted without another hit, in a class of `items` items.
  void CountWasted(std::uint64_t items) {
    ++wasted_;
    const std::uint64_t watched = wasted_ + hit_.load(std::memory_order_relaxed);
    const std::uint64_t window = needs_two_hits()
                                     ? std::max(kProbeWindowMin, items / kProbeWindowDivisor)
                                     : std::max(kWindowMin, items / kWindowDivisor);
    if (watched >= window) Decide(wasted_ * 100 / watched);
  }

  // Whether an item in this chunk is let through with one hit. Chunks lie at multiples of their
  // size, so the reference is mixed first.
  static bool IsProbe(ItemRef ref) { return (ref * 0x9e3779b1U) >> 28U == 0; }
  static_assert(kProbe == 1U << 4U);

 private:
  // `percent`: wasted newcomers in 100 since the last decision.
  void Decide(std::uint64_t percent) {
    if (percent >= kWastedForTwo) needs_two_hits_.store(true, std::memory_order_relaxed);
    if (percent < kWastedForOne) needs_two_hits_.store(false, std::memory_order_relaxed);
    hit_.store(0, std::memory_order_relaxed);
    wasted_ = 0;
  }

  // Read without the class's lock at every eviction.
  std::atomic<bool> needs_two_hits_{false};
  // Newcomers since the last decision. A hit is counted without the class's lock, once for each;
  // one that comes while the counts are set back may be lost.
  mutable std::atomic<std::uint64_t> hit_{0};
  std::uint64_t wasted_ = 0;
};

}  // namespace larder::slab
