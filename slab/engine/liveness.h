// Which items are alive, and how many.
#pragma once

#include <cstddef>
#include <cstdint>

#include "slab/engine/lanes.h"
#include "slab/engine/versions.h"
#include "slab/eviction/removal_records.h"
#include "slab/ids.h"
#include "slab/item/item.h"
#include "slab/lane.h"

namespace larder::slab {

// What no flush has killed. An item that expired counts until it is removed.
struct AliveCount {
  std::uint64_t items = 0;
  std::uint64_t bytes = 0;

  bool operator==(const AliveCount&) const = default;
};

// Liveness says whether an item is alive, and counts in each lane's gauges what is linked.
//
// A flush removes nothing, so a lane's gauges of items and bytes fall only as dead ones are
// removed. Beside them it keeps how much of what it counted is dead: all of it when it learns of a
// flush (Lane::NoteFlush), and from then on what has a number below that flush's cutoff. To which
// side a number belongs, all lanes agree on, so an item may be counted by one and taken off by
// another. A lane that has not learned of the last flush has counted nothing that is alive: only a
// lane that has learned of it counts what has a number from after the flush.
//
// An item that is overwritten in place needs no look at this: its old and its new number lie on the
// same side of every cutoff. The new one is drawn with the bucket locked and before the old item is
// seen to be alive; drawn after a flush, it would have found the old item dead.
//
// Threads:    any; what takes an item: caller locks its bucket, or owns it alone.
// Owns:       nothing. Versions and Lanes must outlive it.
// Invariants: the gauges, summed over all lanes, are those of the linked items.
class Liveness {
 public:
  Liveness(const Versions& versions, const Lanes& lanes) : versions_(versions), lanes_(lanes) {}

  // Inlined into every look-up: a call would cost each get a dozen instructions.
  [[gnu::always_inline]] static bool IsExpired(const Item& item, const Lane& lane) noexcept {
    return item.can_expire() && item.expiry().IsOver(lane);
  }
  [[gnu::always_inline]] bool IsDead(const Item& item, const Lane& lane) const noexcept {
    return IsExpired(item, lane) || versions_.IsFlushed(item);
  }
  // REQUIRES: the item IsDead().
  static RemovalReason CauseOfDeath(const Item& item, const Lane& lane) noexcept {
    return IsExpired(item, lane) ? RemovalReason::kExpired : RemovalReason::kFlushed;
  }

  // The item of this class is linked now; it is about to be unlinked; it was linked all the time,
  // and its bytes have changed.
  void CountLinked(const Item& item, ClassId id, Lane& lane) const noexcept;
  void CountUnlinked(const Item& item, ClassId id, Lane& lane) const noexcept;
  static void CountResized(std::size_t old_bytes, std::size_t new_bytes, ClassId id,
                           Lane& lane) noexcept;
  // The item, which a flush may have killed since it was found, is about to get a new number.
  void CountRevived(const Item& item, Lane& lane) const noexcept;

  // Exact but for what changes meanwhile.
  AliveCount Alive() const;

 private:
  const Versions& versions_;
  const Lanes& lanes_;
};

}  // namespace larder::slab
