// Liveness: which items are alive, and how many there are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "slab/engine/drops.h"
#include "slab/engine/lanes.h"
#include "slab/engine/prefix_counts.h"
#include "slab/engine/versions.h"
#include "slab/eviction/removal_records.h"
#include "slab/ids.h"
#include "slab/item/item.h"
#include "slab/lane.h"

namespace larder::slab {

// The items that no flush has killed. An expired or dropped item counts until it is removed.
// `bytes` are item bytes.
struct AliveCount {
  std::uint64_t items = 0;
  std::uint64_t bytes = 0;

  bool operator==(const AliveCount&) const = default;
};

// Liveness decides whether an item is alive, and counts the linked items in the gauges of the
// lanes, also by prefix.
//
// A flush removes no item, so the gauges of items and bytes fall only when flushed items are
// removed. Therefore each lane also counts how many of its items are flushed: all of them when the
// lane notes a flush (Lane::NoteFlush), and after that each item with a number below the cutoff of
// that flush. All lanes agree on which side of a cutoff a number is, so one lane may count an item
// and another one subtract it. A lane that has not noted the last flush has counted no living item,
// because a lane notes the flush before it counts an item with a number from after it.
//
// When an item is overwritten in place nothing changes here, because its old and its new number are
// on the same side of every cutoff: the new number is drawn with the bucket locked and before the
// old item is found to be alive. If it were drawn after a flush, the old item would be found dead.
//
// Threads:    any thread. Functions with an Item: caller locks the item's bucket, or owns the item
//             exclusively.
// Owns:       nothing. Versions, Drops, Lanes and PrefixCounts must outlive it.
// Invariants: the gauges, summed over all lanes, are the number and the bytes of the linked items.
class Liveness {
 public:
  Liveness(const Versions& versions, const Drops& drops, const Lanes& lanes, PrefixCounts& prefixes)
      : versions_(versions), drops_(drops), lanes_(lanes), prefixes_(prefixes) {}

  // True if the item's expiry has passed. Inlined into every lookup, because a call would cost each
  // get a dozen instructions.
  [[gnu::always_inline]] static bool IsExpired(const Item& item, const Lane& lane) noexcept {
    return item.can_expire() && item.expiry().IsOver(lane);
  }
  // True if the item has expired, was flushed or was dropped: clients must not see it.
  [[gnu::always_inline]] bool IsDead(const Item& item, const Lane& lane) const noexcept {
    return IsExpired(item, lane) || (versions_.IsSuspect(item) && IsInvalid(item));
  }
  // True if a flush or a drop has made the item invalid. Not inlined, because few items are
  // suspect.
  [[gnu::noinline]] bool IsInvalid(const Item& item) const noexcept {
    return versions_.IsFlushed(item) || (drops_.MayCover(item) && IsDropped(item));
  }
  // Why the item is dead: kExpired, kFlushed or kDropped. REQUIRES: IsDead() is true for the item.
  RemovalReason CauseOfDeath(const Item& item, const Lane& lane) const noexcept {
    if (IsExpired(item, lane)) return RemovalReason::kExpired;
    return versions_.IsFlushed(item) ? RemovalReason::kFlushed : RemovalReason::kDropped;
  }
  // Seconds since the item died. An expiry that had passed already when it was set counts from its
  // setting. REQUIRES: `cause` is CauseOfDeath().
  std::uint32_t SecondsSinceDeath(const Item& item, RemovalReason cause,
                                  const Lane& lane) const noexcept;

  // Counts an item of class `id` that was linked.
  void CountLinked(const Item& item, ClassId id, Lane& lane) const noexcept;
  // Counts an item of class `id` that is about to be unlinked.
  void CountUnlinked(const Item& item, ClassId id, Unlinking why, Lane& lane) const noexcept;
  // Counts a change of the size of an item of class `id`, which has this key and stays linked.
  void CountResized(std::string_view key, std::size_t old_bytes, std::size_t new_bytes, ClassId id,
                    Lane& lane) const noexcept {
    if (old_bytes != new_bytes) [[unlikely]]
      CountNewSize(key, old_bytes, new_bytes, id, lane);
  }

  // The living items of all lanes. Exact except for changes made during the call.
  AliveCount Alive() const;

 private:
  // Not inlined, so that IsInvalid needs no registers to be saved.
  [[gnu::noinline]] bool IsDropped(const Item& item) const noexcept {
    return drops_.CutoffOf(item) != 0;
  }
  // CountResized() of an item that has another size now.
  [[gnu::noinline]] void CountNewSize(std::string_view key, std::size_t old_bytes,
                                      std::size_t new_bytes, ClassId id, Lane& lane) const noexcept;

  const Versions& versions_;
  const Drops& drops_;
  const Lanes& lanes_;
  PrefixCounts& prefixes_;
};

}  // namespace larder::slab
