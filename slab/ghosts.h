// Keys that were evicted not long ago.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "slab/standing.h"
#include "slab/zeroed_array.h"

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
// Six bytes an item, taken from the system at the first eviction and kept while the number of items
// stays within kGrowth and kShrink of what it was then; beyond, all is forgotten. A key is taken
// for another's ghost once in some 8000 times.
//
// Threads: caller locks the class.
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

  // Gives memory back if the class holds far fewer items than the table is for.
  void Fit(std::uint64_t items);
  void Clear();

  std::size_t bytes() const { return sets_ ? set_count_ * sizeof(Set) : 0; }
  // What the system has given of it.
  std::size_t resident_bytes() const { return touched_blocks_ * kBlockBytes; }

 private:
  static constexpr std::uint64_t kGrowthPercent = 150;
  static constexpr std::uint64_t kShrinkPercent = 25;
  static constexpr std::size_t kWays = 8;
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
  Set& SetOf(std::uint64_t hash) const { return (*sets_)[(hash >> 32) * set_count_ >> 32]; }
  static std::uint32_t Fingerprint(std::uint64_t hash) {
    const auto bits = static_cast<std::uint16_t>(hash);
    return bits != 0 ? bits : 1;
  }
  static Segment SegmentOf(std::uint32_t entry) {
    return (entry >> kStampBits & 1) != 0 ? Segment::kMain : Segment::kProbation;
  }
  // Evictions since, in steps of 2^stamp_shift_; those from probation count twice, so that the same
  // age is old for both.
  std::uint32_t AgeOf(std::uint32_t entry) const {
    const Segment segment = SegmentOf(entry);
    const auto now =
        static_cast<std::uint32_t>(evicted_[segment == Segment::kMain] >> stamp_shift_);
    return ((now - entry) & kStampMask) << (segment == Segment::kProbation ? 1 : 0);
  }

  std::optional<ZeroedArray<Set>> sets_;
  std::uint64_t set_count_ = 0;
  std::uint64_t items_planned_ = 0;
  unsigned stamp_shift_ = 0;
  std::vector<bool> is_touched_;  // By block.
  std::size_t touched_blocks_ = 0;
  std::uint64_t evicted_[2] = {0, 0};  // From probation, from main.
};

}  // namespace larder::slab
