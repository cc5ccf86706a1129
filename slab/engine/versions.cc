#include "slab/engine/versions.h"

namespace larder::slab {
namespace {

// The size of the range that a lane takes at a time.
constexpr std::uint64_t kRangeNumbers = 4096;
// A number that is older than this counts as flushed: a fourth of what the bits of an item can
// distinguish.
constexpr std::uint64_t kAgeMax = std::uint64_t{1} << (Item::kNumberBits - 2);

}  // namespace

void Versions::FlushAll() noexcept {
  const MutexLock lock(mutex_);
  // Every lane's range begins below the cutoff, so each lane takes a new range at its next write.
  const std::uint64_t cutoff = unused_.fetch_add(1, std::memory_order_relaxed) + 1;
  LARDER_ASSERT(cutoff > cutoff_.load(std::memory_order_relaxed));
  // The order matters: a thread that sees the flush mark draws no number that is below it.
  RaiseTo(range_floor_, cutoff);
  RaiseTo(flush_mark_, cutoff);
  RaiseTo(suspect_mark_, cutoff);
  cutoff_.store(cutoff, std::memory_order_release);
}

// Raises a bound to `number`, unless another thread has raised it further.
void Versions::RaiseTo(Atomic<std::uint64_t>& bound, std::uint64_t number) noexcept {
  std::uint64_t seen = bound.load(std::memory_order_relaxed);
  while (seen < number && !bound.compare_exchange_weak(seen, number, std::memory_order_release,
                                                       std::memory_order_relaxed)) {
  }
}

void Versions::EndDrops() noexcept {
  const MutexLock lock(mutex_);
  suspect_mark_.store(flush_mark_.load(std::memory_order_relaxed), std::memory_order_release);
}

void Versions::Tick(std::uint32_t now_s) noexcept {
  // Makes every lane take a new range at its next write, so that later numbers belong to later
  // seconds.
  const std::uint64_t next = unused();
  RaiseTo(range_floor_, next);
  write_times_.Note(now_s, next);
}

void Versions::TakeRange(Lane& lane) noexcept {
  const MutexLock lock(mutex_);
  // The lane notes a flush before it draws a number from after the flush: see Liveness.
  const std::uint64_t cutoff = cutoff_.load(std::memory_order_relaxed);
  if (lane.flush_floor.load(std::memory_order_relaxed) != cutoff) lane.NoteFlush(cutoff);
  lane.cas_next = unused_.fetch_add(kRangeNumbers, std::memory_order_relaxed);
  lane.cas_end = lane.cas_next + kRangeNumbers;
  // Items store 48 bits of their numbers. An item whose number is 7e13 writes old counts as
  // flushed, so that the numbers of living items are never more than half of all 48-bit numbers
  // apart.
  if (lane.cas_next > kAgeMax) {
    RaiseTo(range_floor_, lane.cas_next - kAgeMax);
    RaiseTo(flush_mark_, lane.cas_next - kAgeMax);
    RaiseTo(suspect_mark_, lane.cas_next - kAgeMax);
  }
  LARDER_ASSERT(lane.cas_next >= cutoff);
  LARDER_ASSERT(flush_mark_.load(std::memory_order_relaxed) <= lane.cas_next);
}

bool Versions::IsOlder(std::uint64_t cas_unique, const Item& item) const noexcept {
  if (item.has_chosen_cas()) return cas_unique < item.cas();
  // Lanes draw numbers from ranges of their own, so the number of a later write may be smaller. But
  // a number that was given out and is not the one of this item can only belong to an earlier
  // version of the item.
  return cas_unique < unused();
}

std::uint32_t Versions::SecondsSince(std::uint64_t number, const Lane& lane) const noexcept {
  // Items store 48 bits of the number; the missing ones follow from the present numbers.
  const std::uint64_t next = unused();
  const std::uint32_t second = write_times_.SecondOf(next - ((next - number) & Item::kNumberMask));
  return second == 0 ? 0 : lane.now_s - std::min(second, lane.now_s);
}

void Versions::Restore(std::uint64_t unused, std::uint64_t flush_mark) noexcept {
  LARDER_ASSERT(unused_.load(std::memory_order_relaxed) == 1);
  LARDER_ASSERT(flush_mark <= unused);
  unused_.store(unused, std::memory_order_relaxed);
  flush_mark_.store(flush_mark, std::memory_order_release);
  suspect_mark_.store(flush_mark, std::memory_order_release);
  cutoff_.store(flush_mark, std::memory_order_release);
}

}  // namespace larder::slab
