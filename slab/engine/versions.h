// The numbers of writes: which write was later, what a flush has killed, and when a write was made.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "slab/check.h"
#include "slab/engine/write_times.h"
#include "slab/item/item.h"
#include "slab/lane.h"
#include "slab/sync/mutex.h"

namespace larder::slab {

// Versions gives out the numbers of writes, and knows which of them a flush has made invalid.
//
//   0 ... | flushed | alive, given out | of ranges that lanes hold | unused ...
//                   ^ flush mark       ^ in no order                ^ unused()
//
// Each lane takes a range of numbers at a time, so that lanes do not meet at one counter. Items
// keep the low 48 bits of their number; see Item::number.
//
// Threads:    atomic, and internally locked where a range is taken or everything flushed; its mutex
//             comes after every other lock.
// Owns:       the table of write times.
// Invariants: flush_mark() <= unused(); a number that Next gives is unique, and greater than that
//             of every write that was over when the last FlushAll began. All items that are not
//             flushed lie within half of the 48 bits.
class Versions {
 public:
  // The first number that is given out in no range yet.
  std::uint64_t unused() const noexcept { return unused_.load(std::memory_order_relaxed); }
  // Items with a smaller number are flushed. Changes with FlushAll.
  std::uint64_t flush_mark() const noexcept { return flush_mark_.load(std::memory_order_acquire); }
  // The first number that the last FlushAll has left alive: the flush mark, unless that was raised
  // for items that are too old. Whoever meets a number that is not below it sees it.
  std::uint64_t cutoff() const noexcept { return cutoff_.load(std::memory_order_acquire); }

  // The number of a write of this lane.
  std::uint64_t Next(Lane& lane) noexcept LARDER_EXCLUDES(mutex_) {
    if (lane.cas_next >= lane.cas_end ||
        lane.cas_next < range_floor_.load(std::memory_order_acquire)) [[unlikely]] {
      TakeRange(lane);
    }
    return lane.cas_next++;
  }

  // Everything written before this call is flushed.
  void FlushAll() noexcept LARDER_EXCLUDES(mutex_);

  // Once a second, by one thread: what was written before is older than what will be.
  void Tick(std::uint32_t now_s) noexcept;

  [[gnu::always_inline]] bool IsFlushed(const Item& item) const noexcept {
    // Numbers wrap at 48 bits; TakeRange keeps everything alive within half of that.
    const std::uint64_t after = item.number() - flush_mark();
    return (after & (std::uint64_t{1} << (Item::kNumberBits - 1))) != 0;
  }

  // The item's number was drawn before this one.
  bool IsBelow(const Item& item, std::uint64_t number) const noexcept {
    const std::uint64_t next = unused();
    return ((next - item.number()) & Item::kNumberMask) > next - number;
  }
  // The item was written before the last flush that the lane knows.
  bool IsBelowFloor(const Item& item, const Lane& lane) const noexcept {
    return IsBelow(item, lane.flush_floor.load(std::memory_order_relaxed));
  }

  // A client that names this CAS has seen the item before its last change.
  bool IsOlder(std::uint64_t cas_unique, const Item& item) const noexcept;

  // Seconds since the item was written, or used if that is longer ago; as exact as WriteTimes is.
  std::uint32_t AgeOf(const Item& item, const Lane& lane) const noexcept {
    return std::max(SecondsSince(item.number(), lane), item.idle_s(lane.now_s));
  }
  // Since the number was drawn; 0 if that is not known.
  std::uint32_t SecondsSince(std::uint64_t number, const Lane& lane) const noexcept;
  std::uint32_t SecondsSinceFlush(const Lane& lane) const noexcept {
    return SecondsSince(flush_mark() - 1, lane);  // That number was drawn by the flush.
  }

  // For a restart. REQUIRES: no number was drawn yet; flush_mark <= unused.
  void Restore(std::uint64_t unused, std::uint64_t flush_mark) noexcept;

 private:
  void TakeRange(Lane& lane) noexcept LARDER_EXCLUDES(mutex_);
  static void RaiseTo(std::atomic<std::uint64_t>& bound, std::uint64_t number) noexcept;

  std::atomic<std::uint64_t> unused_{1};      // Lanes take ranges from here.
  std::atomic<std::uint64_t> flush_mark_{0};  // Written under mutex_, read by anyone.
  // Written under mutex_, before any number is drawn that is not below it.
  std::atomic<std::uint64_t> cutoff_{0};
  // Smaller numbers are not given to writes any more: they are from before the last flush, or from
  // before the current second. Never less than flush_mark_.
  std::atomic<std::uint64_t> range_floor_{0};
  WriteTimes write_times_;

  Mutex mutex_;  // Held by the one who takes a range or flushes.
};

}  // namespace larder::slab
