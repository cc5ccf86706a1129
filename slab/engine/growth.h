// How items outgrow their chunks: by append and prepend, by an expiry, or by a CAS that a client
// chose.
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

// Growth copies an item to larger chunks and puts those in its place. The value may be large, so it
// is copied without a lock, pinned; and if another client stores the key meanwhile, again.
//
// Threads: any, with no bucket and no class locked, but for ChooseCas.
// Owns:    nothing; all that it is made of must outlive it.
class Growth {
 public:
  // What it is made of.
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

  // Stores `added` behind or in front of the value of its key's item. kNotFound if there is no such
  // item; kExists if its CAS is another than terms.cas_unique, if that is not 0; kNotStored if
  // there is no room for both. REQUIRES: terms.mode is kAppend or kPrepend.
  StoreOutcome Join(const ReservedItem& added, const PublishTerms& terms, Lane& lane)
      LARDER_EXCLUDES(kBucketLocked);

  // Moves the item to a chunk where ChooseCas, or Item::SetExpiry, succeeds; nobody sees a
  // difference. kMade as well if it has the room by now.
  [[nodiscard]] RoomStatus AddRoom(Room room, const HashedKey& key, Lane& lane)
      LARDER_EXCLUDES(kBucketLocked);
  // See Cache::VisitToExpire. Apart: few commands give an expiry.
  template <class Fn>
  [[gnu::noinline]] Presence VisitToExpire(const HashedKey& key, Expiry expiry, Lane& lane, Fn&& fn)
      LARDER_EXCLUDES(kBucketLocked);
  // Gives the item a new number, and this CAS. False if its chunk has no room for that. REQUIRES:
  // the item's bucket is locked.
  [[nodiscard]] bool ChooseCas(Item& item, std::uint64_t cas, Lane& lane) noexcept;
  // A new number for an item whose value is changed in place. REQUIRES: as for ChooseCas.
  void Renumber(Item& item, Lane& lane) noexcept {
    const std::uint64_t number = parts_.versions.Next(lane);
    parts_.liveness.CountRevived(item, lane);
    item.set_cas(number);
  }

 private:
  // An item and a pin of it: as long as it is there, neither its value nor its layout change, and
  // no other item gets its chunk. So a key that still has this chunk still has this value.
  struct Original {
    ItemRef ref = kNoItem;
    ItemHandle pin;
    ValueCursor value;
  };
  // What is reserved for an item that gets more room.
  struct RoomyShape {
    ItemSpec spec;
    std::optional<std::uint64_t> chosen_cas;
  };

  // No pin: there is no such item, or look(const Item&), called with the bucket locked, said false.
  template <class Look>
  Original PinOriginal(const HashedKey& key, Lane& lane, Look&& look);

  StoreOutcome JoinLocked(const ReservedItem& added, const PublishTerms& terms, Lane& lane)
      LARDER_EXCLUDES(kBucketLocked);
  std::optional<StoreOutcome> RefusalToJoin(const Item& old, const ReservedItem& added,
                                            const PublishTerms& terms) const;
  // `old` is what it was joined with.
  StoreOutcome LinkJoined(Index::Guard& guard, ItemRef old, ReservedItem& joined,
                          const ReservedItem& added, Lane& lane) LARDER_REQUIRES(kBucketLocked);

  RoomStatus AddRoomLocked(Room room, const HashedKey& key, Lane& lane)
      LARDER_EXCLUDES(kBucketLocked);
  // kNoMemory, unless another client has given the item the room, or has removed it.
  RoomStatus RoomWithoutMemory(Room room, const HashedKey& key, Lane& lane)
      LARDER_EXCLUDES(kBucketLocked);
  bool HasRoom(const Item& item, Room room) const noexcept;
  static RoomyShape ShapeWithRoom(const Item& old, const HashedKey& key, Room room);
  // `moved` has the value of `old`. False if the item has a chosen CAS by now, and `moved` no room
  // for it.
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
