#include "slab/engine/prefix_counts.h"

#include "slab/check.h"

namespace larder::slab {
namespace {

Counters<PrefixStat>& RowOf(PrefixRow row, Lane& lane) { return lane.prefixes->rows[row]; }

}  // namespace

// All chunks are of the largest class but the last one.
std::uint64_t PrefixCounts::ChainMemoryOf(const Item& item) const noexcept {
  const SizeLadder& ladder = classes_.ladder();
  const std::size_t left = item.value_bytes() - item.value_bytes_here();
  const std::size_t room = ladder.chunk_bytes_max() - sizeof(Item);
  const std::uint64_t whole = (1 + left / room) * ladder.chunk_bytes_max();
  const std::size_t rest = left % room;
  return rest == 0 ? whole : whole + ladder.chunk_bytes(ladder.ClassFor(sizeof(Item) + rest));
}

std::uint64_t PrefixCounts::MemoryOf(const Item& item, ClassId id) const noexcept {
  if (item.is_chained()) [[unlikely]]
    return ChainMemoryOf(item);
  return classes_.ladder().chunk_bytes(id);
}

void PrefixCounts::CountArrival(const Item& item, ClassId id, std::size_t bytes,
                                Lane& lane) noexcept {
  Counters<PrefixStat>& row = RowOf(table_.FindOrAdd(item.key()), lane);
  row.Add(PrefixStat::kItems);
  row.Add(PrefixStat::kBytes, bytes);
  row.Add(PrefixStat::kMemory, MemoryOf(item, id));
}

void PrefixCounts::CountDeparture(const Item& item, ClassId id, std::size_t bytes, Unlinking why,
                                  Lane& lane) noexcept {
  Counters<PrefixStat>& row = RowOf(table_.Find(item.key()), lane);
  row.Subtract(PrefixStat::kItems, 1);
  row.Subtract(PrefixStat::kBytes, bytes);
  row.Subtract(PrefixStat::kMemory, MemoryOf(item, id));
  if (why == Unlinking::kEvicted) row.Add(PrefixStat::kEvictions);
}

void PrefixCounts::CountResized(std::string_view key, std::size_t old_bytes, std::size_t new_bytes,
                                Lane& lane) noexcept {
  if (lane.prefixes == nullptr) return;
  // The sum of unsigned differences is right even if the item became smaller.
  RowOf(table_.Find(key), lane).Add(PrefixStat::kBytes, new_bytes - old_bytes);
}

void PrefixCounts::CountRead(std::string_view key, PrefixStat stat, std::uint64_t weight,
                             Lane& lane) const noexcept {
  LARDER_ASSERT(lane.prefixes != nullptr);
  LARDER_ASSERT(stat == PrefixStat::kHits || stat == PrefixStat::kMisses);
  RowOf(table_.Find(key), lane).Add(stat, weight);
}

}  // namespace larder::slab
