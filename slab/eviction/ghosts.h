// Ghosts: the keys that were evicted from a slab class not long ago.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "slab/item/eviction_state.h"
#include "slab/memory/zeroed_array.h"

namespace larder::slab {

// A remembered eviction.
struct Ghost {
  // The segment that the key was evicted from.
  Segment segment = Segment::kProbation;
  // Evictions from that segment since then; in large classes counted in steps of a few.
  std::uint64_t age = 0;
  // The same eviction has the same stamp as long as it is remembered.
  std::uint32_t stamp = 0;
};

// Ghosts remembers, for one class, from which segment keys were evicted. A ghost is valid until the
// class has evicted half as many items from probation, or as many from main, as it holds items.
//
//   set     |8 entries|                              32 bytes; the hash of a key selects its set
//   entry   |fingerprint 16|segment 1|stamp 15|      0: empty. stamp: that segment's evictions
//
// The table has as many entries as the class has items. Half as many again could be valid at a
// time, but miss ratios were the same without them. It takes four bytes per item. The memory is
// taken from the system at the first eviction, and the table is kept while the number of items
// stays between kShrinkPercent and kGrowthPercent of what it was then; beyond that, all ghosts are
// forgotten. A key is taken for another one's ghost once in some 8000 times.
//
// Threads:    caller locks the class, except for Prefetch, which reads only atomics.
// Owns:       the table, outside the arena.
// Invariants: first_set_ and set_count_ describe sets_, or are 0 if there is none.
class Ghosts {
 public:
  Ghosts() = default;
  Ghosts(const Ghosts&) = delete;
  Ghosts& operator=(const Ghosts&) = delete;

  // Remembers that an item was evicted from a class that now holds `items` items. Does nothing if
  // there is no memory for the table.
  void Add(std::uint64_t hash, Segment segment, std::uint64_t items);

  // Returns the ghost of the key, if it has a valid one, and forgets it. `items` as for Add.
  [[nodiscard]] std::optional<Ghost> Take(std::uint64_t hash, std::uint64_t items);
  // Returns the ghost of the key, also if it is up to kOldFactor times as old as a valid one, and
  // keeps it.
  static constexpr std::uint64_t kOldFactor = 2;
  [[nodiscard]] std::optional<Ghost> FindOld(std::uint64_t hash, std::uint64_t items) const;

  // Prefetches the set of a key before Add or Take. Needs no lock; the table may be freed
  // meanwhile, which is harmless for a prefetch.
  void Prefetch(std::uint64_t hash) const noexcept {
    const Set* const first = first_set_.load(std::memory_order_relaxed);
    if (first != nullptr) __builtin_prefetch(first + NumberOf(hash), 1);
  }

  // Frees the table if the class holds far fewer items than the table is for.
  void Fit(std::uint64_t items);
  // Forgets all ghosts and frees the table.
  void Clear();

  // Bytes of the table.
  std::size_t bytes() const { return set_count() * sizeof(Set); }
  // Bytes of the table that the system has backed with memory.
  std::size_t resident_bytes() const { return touched_blocks_ * kBlockBytes; }

 private:
  // The numbers of items that a table is good for, in percent of those it was made for.
  static constexpr std::uint64_t kGrowthPercent = 150;
  static constexpr std::uint64_t kShrinkPercent = 25;
  // Entries of a set.
  static constexpr std::uint32_t kWays = 8;
  // The unit in which the kernel gives memory.
  static constexpr std::size_t kBlockBytes = 4096;
  static constexpr unsigned kStampBits = 15;
  static constexpr std::uint32_t kStampMask = (1U << kStampBits) - 1;
  static constexpr unsigned kFingerprintShift = 16;

  struct alignas(32) Set {
    std::uint32_t entries[kWays];
  };

  // The table is of the right size for a class of `items` items.
  bool Fits(std::uint64_t items) const {
    return items * 100 <= items_planned_ * kGrowthPercent &&
           items * 100 >= items_planned_ * kShrinkPercent;
  }
  // The entry of the key, if its ghost is valid for a class of so many items; nullptr if there is
  // none.
  std::uint32_t* FindEntry(std::uint64_t hash, std::uint64_t items) const;
  // What an entry says.
  Ghost GhostOf(std::uint32_t entry) const;
  // Replaces the table by an empty one for `items` items, or by none if there is no memory.
  void Rebuild(std::uint64_t items);
  void NoteTouched(const Set& set);
  std::uint64_t set_count() const { return set_count_.load(std::memory_order_relaxed); }
  // The set of a key, from the high half of the hash.
  std::uint64_t NumberOf(std::uint64_t hash) const { return (hash >> 32) * set_count() >> 32; }
  Set& SetOf(std::uint64_t hash) const { return (*sets_)[NumberOf(hash)]; }
  // The low bits of the hash; never 0, which marks an empty entry.
  static std::uint32_t Fingerprint(std::uint64_t hash) {
    const auto bits = static_cast<std::uint16_t>(hash);
    return bits != 0 ? bits : 1;
  }
  static Segment SegmentOf(std::uint32_t entry) {
    return (entry >> kStampBits & 1) != 0 ? Segment::kMain : Segment::kProbation;
  }
  // The stamps that an eviction would get now.
  struct Clocks {
    std::uint32_t probation;
    std::uint32_t main;
  };
  Clocks Now() const {
    return {.probation = static_cast<std::uint32_t>(evicted_[0] >> stamp_shift_),
            .main = static_cast<std::uint32_t>(evicted_[1] >> stamp_shift_)};
  }
  // The age of an entry: evictions from its segment since, in steps of 2^stamp_shift_. Those from
  // probation count twice, so that the same age is the limit for both segments.
  static std::uint32_t AgeOf(std::uint32_t entry, const Clocks& now) {
    // All bits set, or none.
    const std::uint32_t is_main = 0 - (entry >> kStampBits & 1);
    const std::uint32_t clock = (now.main & is_main) | (now.probation & ~is_main);
    const std::uint32_t age = (clock - entry) & kStampMask;
    return age + (age & ~is_main);
  }

  // Where the sets are, for Prefetch. In a cache line that seldom changes.
  alignas(64) std::atomic<const Set*> first_set_{nullptr};
  std::atomic<std::uint64_t> set_count_{0};

  // The table; none before the first eviction.
  alignas(64) std::optional<ZeroedArray<Set>> sets_;
  // The number of items that the table was made for.
  std::uint64_t items_planned_ = 0;
  // A stamp counts in steps of 2^stamp_shift_ evictions.
  unsigned stamp_shift_ = 0;
  // By block of the table: it was written to.
  std::vector<bool> is_touched_;
  std::size_t touched_blocks_ = 0;
  // Evictions from probation and from main, ever.
  std::uint64_t evicted_[2] = {0, 0};
};

}  // namespace larder::slab
