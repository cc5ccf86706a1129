#include "slab/engine/prefix_counts.h"

#include "slab/check.h"

namespace larder::slab {
namespace {

Counters<PrefixStat>& CountersOf(PrefixRow row, Lane& lane) { return lane.prefixes->rows[row]; }

}  // namespace

// The chunks as they are: in a small memory the last one may be of a larger class than its bytes
// need, see ClassOpening.
std::uint64_t PrefixCounts::ChainMemoryOf(const Item& item, ClassId id) const noexcept {
  const Arena& arena = classes_.arena();
  std::uint64_t bytes = classes_.ladder().chunk_bytes(id);
  for (ItemRef at = item.first_continuation(); at != kNoItem; at = arena.At(at).next) {
    bytes += classes_.ChunkBytesOf(arena.At(at));
  }
  return bytes;
}

std::uint64_t PrefixCounts::MemoryOf(const Item& item, ClassId id) const noexcept {
  if (item.is_chained()) [[unlikely]]
    return ChainMemoryOf(item, id);
  return classes_.ladder().chunk_bytes(id);
}

void PrefixCounts::CountArrival(const Item& item, ClassId id, std::size_t bytes,
                                Lane& lane) noexcept {
  const PrefixRow row = table_.FindOrAdd(item.key());
  const std::uint64_t memory = MemoryOf(item, id);
  Counters<PrefixStat>& counters = CountersOf(row, lane);
  counters.Add(PrefixStat::kItems);
  counters.Add(PrefixStat::kBytes, bytes);
  counters.Add(PrefixStat::kMemory, memory);
  if (shares_.any()) [[unlikely]]
    shares_.Add(row, memory);
}

void PrefixCounts::CountDeparture(const Item& item, ClassId id, std::size_t bytes, Unlinking why,
                                  Lane& lane) noexcept {
  const PrefixRow row = table_.Find(item.key());
  const std::uint64_t memory = MemoryOf(item, id);
  Counters<PrefixStat>& counters = CountersOf(row, lane);
  counters.Subtract(PrefixStat::kItems, 1);
  counters.Subtract(PrefixStat::kBytes, bytes);
  counters.Subtract(PrefixStat::kMemory, memory);
  if (why == Unlinking::kEvicted) counters.Add(PrefixStat::kEvictions);
  if (shares_.any()) [[unlikely]]
    shares_.Subtract(row, memory);
}

void PrefixCounts::CountResized(std::string_view key, std::size_t old_bytes, std::size_t new_bytes,
                                Lane& lane) noexcept {
  if (lane.prefixes == nullptr) return;
  // The sum of unsigned differences is right even if the item became smaller.
  CountersOf(table_.Find(key), lane).Add(PrefixStat::kBytes, new_bytes - old_bytes);
}

void PrefixCounts::CountRead(std::string_view key, PrefixStat stat, std::uint64_t weight,
                             Lane& lane) const noexcept {
  LARDER_ASSERT(lane.prefixes != nullptr);
  LARDER_ASSERT(stat == PrefixStat::kHits || stat == PrefixStat::kMisses);
  CountersOf(table_.Find(key), lane).Add(stat, weight);
}

}  // namespace larder::slab
