#include "slab/engine/liveness.h"

#include <algorithm>

#include "slab/check.h"

namespace larder::slab {

std::uint32_t Liveness::SecondsSinceDeath(const Item& item, RemovalReason cause,
                                          const Lane& lane) const noexcept {
  const std::uint32_t idle_s = item.idle_s(lane.now_s);
  switch (cause) {
    case RemovalReason::kExpired:
      return static_cast<std::uint32_t>(
          std::min<std::int64_t>(-item.expiry().SecondsLeft(lane), idle_s));
    case RemovalReason::kFlushed:
      return std::min(versions_.SecondsSinceFlush(lane), idle_s);
    case RemovalReason::kDropped:
      // The drop has drawn that number.
      return std::min(versions_.SecondsSince(drops_.CutoffOf(item) - 1, lane), idle_s);
    default:
      LARDER_ASSERT(false && "not a cause of death");
      return 0;
  }
}

void Liveness::CountLinked(const Item& item, ClassId id, Lane& lane) const noexcept {
  LARDER_ASSERT(id != 0 && id <= kClassesMax);
  const std::size_t bytes = item.item_bytes();
  lane.items.Add();
  lane.bytes.Add(bytes);
  // The item's number is from the range of the lane, which is not below the lane's floor. An
  // exception: the lane has noted a flush since the number was drawn. Then it has no range.
  if (lane.cas_end == 0 && versions_.IsBelowFloor(item, lane)) [[unlikely]] {
    lane.flushed_items.Add();
    lane.flushed_bytes.Add(bytes);
  }
  lane.classes[id].Add(ClassStat::kRequestedBytes, bytes);
  if (!lane.sizes.empty()) lane.sizes[SizeStep(bytes)].Add();
  prefixes_.CountLinked(item, id, bytes, lane);
}

void Liveness::CountUnlinked(const Item& item, ClassId id, Unlinking why,
                             Lane& lane) const noexcept {
  LARDER_ASSERT(id != 0 && id <= kClassesMax);
  // First the lane takes note of the last flush, so that the item is subtracted from the right
  // gauges.
  const std::uint64_t cutoff = versions_.cutoff();
  if (lane.flush_floor.load(std::memory_order_relaxed) != cutoff) [[unlikely]]
    lane.NoteFlush(cutoff);
  const std::size_t bytes = item.item_bytes();
  lane.items.Subtract(1);
  lane.bytes.Subtract(bytes);
  if (versions_.IsBelowFloor(item, lane)) [[unlikely]] {
    lane.flushed_items.Subtract(1);
    lane.flushed_bytes.Subtract(bytes);
  }
  lane.classes[id].Subtract(ClassStat::kRequestedBytes, bytes);
  if (!lane.sizes.empty()) lane.sizes[SizeStep(bytes)].Subtract(1);
  prefixes_.CountUnlinked(item, id, bytes, why, lane);
}

void Liveness::CountNewSize(std::string_view key, std::size_t old_bytes, std::size_t new_bytes,
                            ClassId id, Lane& lane) const noexcept {
  // The sums of unsigned differences are right even if the item became smaller.
  lane.bytes.Add(new_bytes - old_bytes);
  lane.classes[id].Add(ClassStat::kRequestedBytes, new_bytes - old_bytes);
  if (!lane.sizes.empty()) {
    lane.sizes[SizeStep(old_bytes)].Subtract(1);
    lane.sizes[SizeStep(new_bytes)].Add();
  }
  prefixes_.CountResized(key, old_bytes, new_bytes, lane);
}

AliveCount Liveness::Alive() const {
  // Tries, against flushes that follow each other quickly.
  constexpr int kTriesMax = 16;
  std::int64_t items = 0;
  std::int64_t bytes = 0;
  for (int tries = 0; tries < kTriesMax; ++tries) {
    const std::uint64_t cutoff = versions_.cutoff();
    items = 0;
    bytes = 0;
    lanes_.ForEach([&](const Lane& lane) {
      // This lane has not noted the last flush, so everything that it has counted is flushed.
      if (lane.flush_floor.load(std::memory_order_acquire) != cutoff) return;
      items += static_cast<std::int64_t>(lane.items.value() - lane.flushed_items.value());
      bytes += static_cast<std::int64_t>(lane.bytes.value() - lane.flushed_bytes.value());
    });
    // A flush during the sum makes it wrong: start again.
    if (versions_.cutoff() == cutoff) break;
  }
  // The sum is below 0 only while an item goes from one lane's count to another's.
  return {.items = static_cast<std::uint64_t>(std::max<std::int64_t>(items, 0)),
          .bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(bytes, 0))};
}

}  // namespace larder::slab
