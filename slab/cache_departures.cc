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

void Cache::NoteDeparture(std::uint64_t hash, DepartureReason why, const Item& item,
                          const Lane& lane) noexcept {
  Departure departure{.reason = why,
                      .class_id = ClassOf(item),
                      .idle_s = item.idle_s(lane.now_s),
                      .age_s = AgeOf(item, lane)};
  // The dead lie about for a while. An expiry that was long over when it was set counts from then.
  if (why == DepartureReason::kExpired) {
    departure.ago_s = static_cast<std::uint32_t>(
        std::min<std::int64_t>(-item.expiry().SecondsLeft(lane), departure.idle_s));
  } else if (why == DepartureReason::kFlushed) {
    // The number before the cutoff was drawn by the flush.
    const std::uint64_t flush = flush_cas_.load(std::memory_order_relaxed) - 1;
    departure.ago_s = std::min(SecondsSince(flush, lane), departure.idle_s);
  }
  departure.idle_s -= departure.ago_s;
  departure.age_s -= departure.ago_s;
  departures_.Add(hash, departure, lane.now_s);
}

}  // namespace larder::slab
