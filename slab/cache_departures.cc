// What is known of items that leave.
#include <algorithm>

#include "slab/cache.h"

namespace larder::slab {

std::uint32_t Cache::AgeOf(const Item& item, const Lane& lane) const noexcept {
  return std::max(SecondsSince(item.number(), lane), item.idle_s(lane.now_s));
}

std::uint32_t Cache::SecondsSince(std::uint64_t number, const Lane& lane) const noexcept {
  // Items keep 48 bits of it.
  const std::uint64_t unused = cas_unused_.load(std::memory_order_relaxed);
  const std::uint32_t second =
      write_times_.SecondOf(unused - ((unused - number) & Item::kNumberMask));
  return second == 0 ? 0 : lane.now_s - std::min(second, lane.now_s);
}

void Cache::RecordRemoval(std::uint64_t hash, RemovalReason why, const Item& item,
                          const Lane& lane) noexcept {
  RemovalRecord record{.reason = why,
                       .class_id = ClassOf(item),
                       .idle_s = item.idle_s(lane.now_s),
                       .age_s = AgeOf(item, lane)};
  // The dead lie about for a while. An expiry that was long over when it was set counts from then.
  if (why == RemovalReason::kExpired) {
    record.ago_s = static_cast<std::uint32_t>(
        std::min<std::int64_t>(-item.expiry().SecondsLeft(lane), record.idle_s));
  } else if (why == RemovalReason::kFlushed) {
    // The number before the cutoff was drawn by the flush.
    const std::uint64_t flush = flush_cas_.load(std::memory_order_relaxed) - 1;
    record.ago_s = std::min(SecondsSince(flush, lane), record.idle_s);
  }
  record.idle_s -= record.ago_s;
  record.age_s -= record.ago_s;
  removal_records_.Add(hash, record, lane.now_s);
}

}  // namespace larder::slab
