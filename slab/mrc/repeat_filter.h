// RepeatFilter: keeps requests that can change nothing out of the sample.
#pragma once

#include <array>
#include <cstdint>

namespace larder::slab {

// RepeatFilter lets a few requests for a key pass in each round: a miss, the store that follows,
// and some reads. Further reads would be hits in every simulation and raise no counter there. Else
// a key that gets half of all requests would fill the ReferenceRing. Reads that do not pass are
// hits all the same, see MissRatioCurve.
//
// Threads:    one worker.
// Owns:       what it remembers: 2 KiB.
class RepeatFilter {
 public:
  // Requests for a key in a round that pass: a miss, a store, and as many reads as EvictionState
  // counts, with one that counts on probation.
  static constexpr std::uint32_t kPassedMax = 6;
  static constexpr std::uint32_t kSlots = 256;

  // Whether this read passes. `round` is another number in another round.
  bool Passes(std::uint64_t hash, std::uint32_t round) noexcept {
    // Sampled hashes are small numbers, so their low bits are used.
    Slot& slot = slots_[hash % kSlots];
    const auto tag = static_cast<std::uint32_t>(hash / kSlots);
    const auto short_round = static_cast<std::uint16_t>(round);
    if (slot.tag != tag || slot.round != short_round) {
      slot = {.tag = tag, .round = short_round, .passed = 0};
    }
    if (slot.passed == kPassedMax) return false;
    ++slot.passed;
    return true;
  }

 private:
  struct Slot {
    std::uint32_t tag = 0;
    std::uint16_t round = 0;
    std::uint16_t passed = 0;
  };

  std::array<Slot, kSlots> slots_{};
};

}  // namespace larder::slab
