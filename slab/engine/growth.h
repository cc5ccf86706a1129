// Growth: moves items to larger chunks, for append and prepend, for an expiry, or for a CAS that a
// client chose.
#pragma once

#include <cstdint>
#include <optional>

#include "slab/classes/slab_classes.h"
#include "slab/engine/admission.h"
#include "slab/engine/item_handle.h"
#include "slab/engine/linker.h"
#include "slab/engine/liveness.h"
#include "slab/engine/lookup.h"
#include "slab/engine/reserver.h"
#include "slab/engine/unlinker.h"
#include "slab/engine/usage.h"
#include "slab/engine/versions.h"
#include "slab/ids.h"
#include "slab/index/index.h"
#include "slab/item/item.h"
#include "slab/item/value_cursor.h"
#include "slab/lane.h"
#include "slab/store.h"

namespace larder::slab {

// Growth copies an item to larger chunks and puts those in the place of the old ones. The value may
// be large, so it is copied without a lock, while the item is pinned. If another client stores the
// key meanwhile, the copy is made again.
//
// Threads:    any thread, with no bucket and no class locked. ChooseCas and Renumber: caller locks
//             the item's bucket.
// Owns:       nothing; its parts must outlive it.
class Growth {
 public:
  // The parts of the cache that it uses.
  struct Parts {
    Index& index;
    const SlabClasses& classes;
    const Admission& admission;
    Versions& versions;
    const Liveness& liveness;
    Pins& pins;
    Unlinker& unlinker;
    Lookup& lookup;
    Linker& linker;
    Usage& usage;
    Reserver& reserver;
  };
  explicit Growth(const Parts& parts) : parts_(parts) {}

  // Stores the value of `added` behind or in front of that of the present item of its key. Returns
  // kNotFound if there is no item; kExists if terms.cas_unique is not 0 and not the item's CAS;
  // kNotStored if the result is over the item limit or there is no memory. `added` is only read.
  // REQUIRES: terms.mode is kAppend or kPrepend.
  StoreOutcome Join(const ReservedItem& added, const PublishTerms& terms, Lane& lane)
      LARDER_EXCLUDES(kBucketLocked);

  // Moves the item to a chunk in which ChooseCas or Item::SetExpiry will succeed; clients see no
  // difference. Returns kMade also if the item has the room already. REQUIRES: `room` is not kNone.
  [[nodiscard]] RoomStatus AddRoom(Room room, const HashedKey& key, Lane& lane)
      LARDER_EXCLUDES(kBucketLocked);
  // See Cache::VisitToExpire. Not inlined, because few commands give an expiry.
  template <class Fn>
  [[gnu::noinline]] Presence VisitToExpire(const HashedKey& key, Expiry expiry, Lane& lane, Fn&& fn)
      LARDER_EXCLUDES(kBucketLocked);
  // Gives the item a new number and this CAS. Returns false, and changes nothing, if its chunk has
  // no room for the CAS. REQUIRES: the item's bucket is locked.
  [[nodiscard]] bool ChooseCas(Item& item, std::uint64_t cas, Lane& lane) noexcept;
  // Gives an item a new number because its value is changed in place. REQUIRES: the item's bucket
  // is locked.
  void Renumber(Item& item, Lane& lane) noexcept {
    const std::uint64_t number = parts_.versions.Next(lane);
    // Flushed or dropped since it was found alive: with the new number it would seem to be a later
    // item. The change was made before that.
    if (parts_.versions.IsSuspect(item) && parts_.liveness.IsInvalid(item)) [[unlikely]]
      return;
    item.set_cas(number);
  }

 private:
  // An item with a pin. While the pin is held, neither the value nor the layout of the item
  // changes, and no other item gets its chunk. So a key that still has this chunk has this value.
  struct Original {
    // kNoItem: nothing was pinned.
    ItemRef ref = kNoItem;
    ItemHandle pin;
    // The beginning of the value; it may be read without a lock.
    ValueCursor value;
  };
  // The spec for an item with more room, and the CAS that it has room for.
  struct RoomyShape {
    ItemSpec spec;
    std::optional<std::uint64_t> chosen_cas;
  };

  // Pins the item of a key. look(const Item&) is called with the bucket locked. Nothing is pinned
  // if there is no such item or look returned false.
  template <class Look>
  Original PinOriginal(const HashedKey& key, Lane& lane, Look&& look);

  // Join() with the bucket locked while the value is copied.
  StoreOutcome JoinLocked(const ReservedItem& added, const PublishTerms& terms, Lane& lane)
      LARDER_EXCLUDES(kBucketLocked);
  // Why the two cannot be joined: kExists or kNotStored; nothing if they can.
  std::optional<StoreOutcome> RefusalToJoin(const Item& old, const ReservedItem& added,
                                            const PublishTerms& terms) const;
  // Makes the joined item visible, with this number, in the place of `old`, the item that was
  // joined with `added`.
  StoreOutcome LinkJoined(Index::Guard& guard, ItemRef old, ReservedItem& joined,
                          const ReservedItem& added, std::uint64_t number, Lane& lane)
      LARDER_REQUIRES(kBucketLocked);

  // AddRoom() with the bucket locked while the value is copied.
  RoomStatus AddRoomLocked(Room room, const HashedKey& key, Lane& lane)
      LARDER_EXCLUDES(kBucketLocked);
  // The result if there was no memory: kNoMemory, unless another client has given the item the room
  // or has removed the item meanwhile.
  RoomStatus RoomWithoutMemory(Room room, const HashedKey& key, Lane& lane)
      LARDER_EXCLUDES(kBucketLocked);
  // True if the item has the room already.
  bool HasRoom(const Item& item, Room room) const noexcept;
  // What an item of this key with the room needs.
  static RoomyShape ShapeWithRoom(const Item& old, const HashedKey& key, Room room);
  // Makes `moved`, which has the value of `old`, visible in its place. Returns false if the item
  // has a chosen CAS by now and `moved` has no room for it.
  bool LinkMoved(Index::Guard& guard, ItemRef old, ReservedItem& moved, Lane& lane)
      LARDER_REQUIRES(kBucketLocked);

  Parts parts_;
};

template <class Fn>
Presence Growth::VisitToExpire(const HashedKey& key, Expiry expiry, Lane& lane, Fn&& fn) {
  // Another round is needed only if another client has replaced the item meanwhile.
  for (;;) {
    bool has_room = true;
    const Presence presence = parts_.lookup.Visit(key, lane, [&](Item& item) {
      has_room = item.can_expire() || !expiry.is_set();
      if (has_room) [[likely]]
        fn(item);
    });
    if (has_room) [[likely]]
      return presence;
    if (AddRoom(Room::kExpiry, key, lane) == RoomStatus::kNoMemory) return Presence::kNoRoom;
  }
}

}  // namespace larder::slab
