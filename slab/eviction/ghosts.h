// Keys that were evicted not long ago.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "slab/item/eviction_state.h"
#include "slab/memory/zeroed_array.h"

namespace larder::slab {

// An eviction that is remembered.
struct Ghost {
  Segment segment = Segment::kProbation;
  // Evictions from that segment since; of large classes in steps of a few.
  std::uint64_t age = 0;
};

// Ghosts remembers, for one class, from which segment keys were evicted, for as long as that is
// news: half as many evictions from probation, or as many from main, as the class holds items.
//
//   set     |8 entries|                              32 bytes; a key's set is a matter of its hash
//   entry   |fingerprint 16|segment 1|stamp 15|      0: empty. stamp: that segment's evictions
//
// As many entries as items: half as many again could be news at a time, but miss ratios were the
// same without them. Four bytes an item, taken from the system at the first eviction and kept while
// the number of items stays within kGrowth and kShrink of what it was then; beyond, all is
// forgotten. A key is taken for another's ghost once in some 8000 times.
//
// Threads: caller locks the class, but for Prefetch, which reads nothing but atomics.
// Owns:    the table, outside the arena.
class Ghosts {
 public:
  Ghosts() = default;
  Ghosts(const Ghosts&) = delete;
  Ghosts& operator=(const Ghosts&) = delete;

  // An item of a class that now holds `items` was evicted. Remembers nothing if there is no memory.
  void Add(std::uint64_t hash, Segment segment, std::uint64_t items);

  // The key's eviction, if that is news; forgets it. `items` as in Add.
  [[nodiscard]] std::optional<Ghost> Take(std::uint64_t hash, std::uint64_t items);

  // For Add or Take of this hash. Needs no lock.
  void Prefetch(std::uint64_t hash) const noexcept {
    const Set* const first = first_set_.load(std::memory_order_relaxed);
    if (first != nullptr) __builtin_prefetch(first + NumberOf(hash), 1);
  }

  // Gives memory back if the class holds far fewer items than the table is for.
  void Fit(std::uint64_t items);
  void Clear();

  std::size_t bytes() const { return set_count() * sizeof(Set); }
  // What the system has given of it.
  std::size_t resident_bytes() const { return touched_blocks_ * kBlockBytes; }

 private:
  static constexpr std::uint64_t kGrowthPercent = 150;
  static constexpr std::uint64_t kShrinkPercent = 25;
  static constexpr std::uint32_t kWays = 8;
  static constexpr std::size_t kBlockBytes = 4096;  // The kernel's unit.
  static constexpr unsigned kStampBits = 15;
  static constexpr std::uint32_t kStampMask = (1U << kStampBits) - 1;
  static constexpr unsigned kFingerprintShift = 16;

  struct alignas(32) Set {
    std::uint32_t entries[kWays];
  };

  bool Fits(std::uint64_t items) const {
    return items * 100 <= items_planned_ * kGrowthPercent &&
           items * 100 >= items_planned_ * kShrinkPercent;
  }
  void Rebuild(std::uint64_t items);
  void NoteTouched(const Set& set);
  std::uint64_t set_count() const { return set_count_.load(std::memory_order_relaxed); }
  std::uint64_t NumberOf(std::uint64_t hash) const { return (hash >> 32) * set_count() >> 32; }
  Set& SetOf(std::uint64_t hash) const { return (*sets_)[NumberOf(hash)]; }
  static std::uint32_t Fingerprint(std::uint64_t hash) {
    const auto bits = static_cast<std::uint16_t>(hash);
    return bits != 0 ? bits : 1;
  }
  static Segment SegmentOf(std::uint32_t entry) {
    return (entry >> kStampBits & 1) != 0 ? Segment::kMain : Segment::kProbation;
  }
  // The stamps of an eviction that would be now.
  struct Clocks {
    std::uint32_t probation;
    std::uint32_t main;
  };
  Clocks Now() const {
    return {.probation = static_cast<std::uint32_t>(evicted_[0] >> stamp_shift_),
            .main = static_cast<std::uint32_t>(evicted_[1] >> stamp_shift_)};
  }
  // Evictions since, in steps of 2^stamp_shift_; those from probation count twice, so that the same
  // age is old for both.
  static std::uint32_t AgeOf(std::uint32_t entry, const Clocks& now) {
    const std::uint32_t is_main = 0 - (entry >> kStampBits & 1);  // All bits.
    const std::uint32_t clock = (now.main & is_main) | (now.probation & ~is_main);
    const std::uint32_t age = (clock - entry) & kStampMask;
    return age + (age & ~is_main);
  }

  // Where the sets are, for Prefetch. Of a line that seldom changes.
  alignas(64) std::atomic<const Set*> first_set_{nullptr};
  std::atomic<std::uint64_t> set_count_{0};

  alignas(64) std::optional<ZeroedArray<Set>> sets_;
  std::uint64_t items_planned_ = 0;
  unsigned stamp_shift_ = 0;
  std::vector<bool> is_touched_;  // By block.
  std::size_t touched_blocks_ = 0;
  std::uint64_t evicted_[2] = {0, 0};  // From probation, from main.
};

}  // namespace larder::slab
