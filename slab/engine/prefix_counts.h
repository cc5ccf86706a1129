// PrefixCounts: how much memory, and how many hits, misses and evictions each prefix of keys has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "slab/classes/slab_classes.h"
#include "slab/engine/prefix_shares.h"
#include "slab/engine/prefix_table.h"
#include "slab/ids.h"
#include "slab/item/item.h"
#include "slab/lane.h"

namespace larder::slab {

// Why an item is unlinked, as far as its prefix counts it.
enum class Unlinking : std::uint8_t {
  // Deleted, dead or replaced.
  kRemoved,
  // Removed to make room.
  kEvicted,
};

// PrefixCounts counts in the lanes, by the row of the key's prefix: what is linked and unlinked,
// each item; reads, by a sample. A lane without PrefixCounters counts nothing.
//
// Items are counted as long as they have memory: flushed, dropped and expired ones too.
//
// Threads:    any thread, with its own lane. Functions with an Item: caller locks the item's
//             bucket, or owns the item exclusively.
// Owns:       the table of prefixes, and their shares.
// Invariants: PrefixStat::kItems, kBytes and kMemory of all rows and lanes are the linked items,
//             their bytes, and those of their chunks.
class PrefixCounts {
 public:
  struct Options {
    char delimiter = ':';
    // Of the table.
    std::uint64_t seed = 0;
    std::span<const PrefixShare> shares;
  };
  PrefixCounts(const SlabClasses& classes, const Options& options)
      : classes_(classes),
        table_(options.delimiter, options.seed),
        shares_(classes.arena(), options.shares, table_) {}

  const PrefixTable& table() const { return table_; }
  const PrefixShares& shares() const { return shares_; }

  // Counts an item of class `id` with so many bytes that was linked, or is about to be unlinked.
  void CountLinked(const Item& item, ClassId id, std::size_t bytes, Lane& lane) noexcept {
    if (lane.prefixes != nullptr) CountArrival(item, id, bytes, lane);
  }
  void CountUnlinked(const Item& item, ClassId id, std::size_t bytes, Unlinking why,
                     Lane& lane) noexcept {
    if (lane.prefixes != nullptr) CountDeparture(item, id, bytes, why, lane);
  }
  // Counts that an item with this key, which stays linked and in its chunk, has changed its size.
  void CountResized(std::string_view key, std::size_t old_bytes, std::size_t new_bytes,
                    Lane& lane) noexcept;
  // Counts a read of the key, which stands for so many reads. `stat`: kHits or kMisses. REQUIRES:
  // the lane counts prefixes.
  void CountRead(std::string_view key, PrefixStat stat, std::uint64_t weight,
                 Lane& lane) const noexcept;

 private:
  // Not inlined, so that nobody saves registers for them where nothing is counted.
  [[gnu::noinline]] void CountArrival(const Item& item, ClassId id, std::size_t bytes,
                                      Lane& lane) noexcept;
  [[gnu::noinline]] void CountDeparture(const Item& item, ClassId id, std::size_t bytes,
                                        Unlinking why, Lane& lane) noexcept;
  // Bytes of the chunks of an item of class `id`.
  std::uint64_t MemoryOf(const Item& item, ClassId id) const noexcept;
  [[gnu::noinline]] std::uint64_t ChainMemoryOf(const Item& item, ClassId id) const noexcept;

  const SlabClasses& classes_;
  PrefixTable table_;
  PrefixShares shares_;
};

}  // namespace larder::slab
