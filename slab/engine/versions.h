// Versions: the numbers of writes. They show which write was later, what a flush has made invalid,
// and when a write was made.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "slab/check.h"
#include "slab/engine/write_times.h"
#include "slab/item/item.h"
#include "slab/lane.h"
#include "slab/sync/atomic.h"
#include "slab/sync/mutex.h"

namespace larder::slab {

// Versions gives out the numbers of writes, and stores which of them a flush has made invalid.
//
//   0 ... | flushed | alive, given out | of ranges that lanes hold | unused ...
//                   ^ flush mark       ^ in no order                ^ unused()
//
// Each lane takes a range of numbers at a time, so that lanes do not meet at one counter. Items
// store the low 48 bits of their number; see Item::number.
//
// Threads:    atomic; internally locked where a range is taken or everything is flushed. Its mutex
//             is locked after every other lock.
// Owns:       the table of write times.
// Invariants: flush_mark() <= unused(). A number that Next returns is unique, and greater than that
//             of every write that was finished when the last FlushAll began. The numbers of all
//             items that are not flushed lie within half of the 48-bit numbers.
class Versions {
 public:
  // The first number that no range has yet.
  std::uint64_t unused() const noexcept { return unused_.load(std::memory_order_relaxed); }
  // Items with a smaller number are flushed. FlushAll raises it.
  std::uint64_t flush_mark() const noexcept { return flush_mark_.load(std::memory_order_acquire); }
  // The first number that the last FlushAll has left valid: the flush mark, unless that was raised
  // for items that are too old. A thread that sees a number that is not below it also sees the
  // cutoff.
  std::uint64_t cutoff() const noexcept { return cutoff_.load(std::memory_order_acquire); }

  // Draws the number of a write of this lane.
  std::uint64_t Next(Lane& lane) noexcept LARDER_EXCLUDES(mutex_) {
    if (lane.cas_next >= lane.cas_end ||
        lane.cas_next < range_floor_.load(std::memory_order_acquire)) [[unlikely]] {
      TakeRange(lane);
    }
    return lane.cas_next++;
  }

  // Makes everything invalid that was written before this call.
  void FlushAll() noexcept LARDER_EXCLUDES(mutex_);

  // Draws a number as the cutoff of a drop, calls publish(cutoff), and makes every item with a
  // smaller number suspect. A thread that draws a greater number afterwards sees what `publish` has
  // done. So a write that depends on an old item draws its number first, and then looks whether the
  // old item is alive. A smaller number may still be drawn while the call lasts, by a thread that
  // has seen nothing of it: that write counts as one from before the drop.
  template <class Publish>
  void DrawCutoff(Publish&& publish) noexcept LARDER_EXCLUDES(mutex_);
  // Makes suspect again only what is flushed, because there is no drop any more.
  void EndDrops() noexcept LARDER_EXCLUDES(mutex_);

  // Separates the numbers drawn before from those drawn after it, so that both can be dated. Call
  // it once a second, from one thread.
  void Tick(std::uint32_t now_s) noexcept;

  // True if a flush has made the item invalid.
  [[gnu::always_inline]] bool IsFlushed(const Item& item) const noexcept {
    // Numbers wrap at 48 bits; TakeRange keeps everything that is alive within half of that.
    return item.is_numbered_below(flush_mark());
  }
  // False if neither a flush nor a drop can have made the item invalid, because its number is not
  // below the mark of any.
  [[gnu::always_inline]] bool IsSuspect(const Item& item) const noexcept {
    return item.is_numbered_below(suspect_mark_.load(std::memory_order_acquire));
  }

  // True if the item's number was drawn before `number`. REQUIRES: `number` is complete, not only
  // its low 48 bits.
  bool IsBelow(const Item& item, std::uint64_t number) const noexcept {
    const std::uint64_t next = unused();
    LARDER_ASSERT(number <= next);
    return ((next - item.number()) & Item::kNumberMask) > next - number;
  }
  // True if the item was written before the last flush that the lane has noted.
  bool IsBelowFloor(const Item& item, const Lane& lane) const noexcept {
    return IsBelow(item, lane.flush_floor.load(std::memory_order_relaxed));
  }

  // True if cas_unique is a CAS that the item had before its last change.
  bool IsOlder(std::uint64_t cas_unique, const Item& item) const noexcept;

  // Seconds since the item was written, or since it was used if that is longer ago, with the
  // accuracy of WriteTimes.
  std::uint32_t AgeOf(const Item& item, const Lane& lane) const noexcept {
    return std::max(SecondsSince(item.number(), lane), item.idle_s(lane.now_s));
  }
  // Seconds since the number was drawn; 0 if that is not known.
  std::uint32_t SecondsSince(std::uint64_t number, const Lane& lane) const noexcept;
  // Seconds since the last flush.
  std::uint32_t SecondsSinceFlush(const Lane& lane) const noexcept {
    // FlushAll has drawn that number.
    return SecondsSince(flush_mark() - 1, lane);
  }

  // Restores the numbers after a restart. REQUIRES: no number was drawn yet; flush_mark <= unused.
  void Restore(std::uint64_t unused, std::uint64_t flush_mark) noexcept;

 private:
  // Gives the lane a new range of numbers.
  void TakeRange(Lane& lane) noexcept LARDER_EXCLUDES(mutex_);
  // Raises `bound` to `number` if it is smaller.
  static void RaiseTo(Atomic<std::uint64_t>& bound, std::uint64_t number) noexcept;

  // Lanes take ranges from here.
  Atomic<std::uint64_t> unused_{1};
  // Written under mutex_, read by any thread.
  Atomic<std::uint64_t> flush_mark_{0};
  // The greatest of the flush mark and of the cutoffs of drops. Written under mutex_, after what
  // belongs to it; read by any thread.
  Atomic<std::uint64_t> suspect_mark_{0};
  // Written under mutex_, before any number is drawn that is not below it. Released, so that a lane
  // that notes the flush sees the flush mark too.
  Atomic<std::uint64_t> cutoff_{0};
  // Numbers below this are no longer given to writes, because they are from before the last flush
  // or from before the current second. FlushAll raises it before it raises flush_mark_.
  Atomic<std::uint64_t> range_floor_{0};
  // When numbers were drawn.
  WriteTimes write_times_;

  // Held by the thread that takes a range, flushes or drops.
  Mutex mutex_;
};

// The order matters. A thread that sees what is published draws no smaller number any more, because
// its range is below the floor. A thread that draws a greater number has taken its range since, and
// has waited for the mutex to do so: it sees what is published.
template <class Publish>
void Versions::DrawCutoff(Publish&& publish) noexcept {
  const MutexLock lock(mutex_);
  const std::uint64_t cutoff = unused_.fetch_add(1, std::memory_order_relaxed) + 1;
  RaiseTo(range_floor_, cutoff);
  publish(cutoff);
  RaiseTo(suspect_mark_, cutoff);
}

}  // namespace larder::slab
