// Reserver: reserves chunks for items that no other thread can see yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "slab/check.h"
#include "slab/classes/slab_classes.h"
#include "slab/engine/chunk_allocator.h"
#include "slab/engine/class_opening.h"
#include "slab/engine/item_handle.h"
#include "slab/engine/page_mover.h"
#include "slab/ids.h"
#include "slab/item/item.h"
#include "slab/lane.h"
#include "slab/result.h"
#include "slab/store.h"

namespace larder::slab {

// Writes what follows the key of an item of this spec, for a value of `value_bytes` bytes in this
// chunk. It does not write the number, the key and the value. Returns where the value begins.
// REQUIRES: the chunk belongs to the caller, or its item's bucket is locked; key_bytes is set.
[[gnu::always_inline]] inline std::byte* FillHeader(Item& item, const ItemSpec& spec,
                                                    std::uint32_t value_bytes,
                                                    const Lane& lane) noexcept {
  LARDER_ASSERT(item.key_bytes == spec.key.bytes.size());
  item.set_last_access(lane.now_s);
  return item.SetShape(
      {.client_flags = spec.client_flags, .expiry = spec.expiry, .can_expire = spec.can_expire()},
      value_bytes);
}

// How far a store has come in its search for a chunk; see Reserver::MakeRoom.
struct RoomSearch {
  // See Held::prefers_page.
  bool prefers_page = true;
  // Calls of MakeRoom so far.
  int tries = 0;
};

// Reserver finds the chunks that an item needs, one chunk or a chain, and lays out the item in
// them.
//
// Threads:    any thread, with no class locked.
// Owns:       nothing; its parts must outlive it.
class Reserver {
 public:
  Reserver(const SlabClasses& classes, ClassOpening& opening, ChunkAllocator& allocator,
           PageMover& mover)
      : classes_(classes), opening_(opening), allocator_(allocator), mover_(mover) {}

  // Reserves room for an item of this spec, and writes its key. With a chosen_cas the item shows
  // that as its CAS instead of a number of the cache. Evicts to make room; moves a page too, if no
  // bucket is held. Fails with kNoMemory if there is no room; with a bucket held, a try without it
  // may still succeed. REQUIRES: the key is not empty and at most kKeyBytesMax bytes long.
  Result<ReservedItem, StoreStatus> Reserve(ItemSpec spec, std::optional<std::uint64_t> chosen_cas,
                                            const Held& held, Lane& lane);

  // Bytes of the arena that Reserve takes: those of the chunks, each with its share of the unused
  // end of its page. Up to twice as much where a substitute is used, see ClassOpening.
  std::uint64_t BytesFor(ItemSpec spec, std::optional<std::uint64_t> chosen_cas) const noexcept;
  // The same for an item of so many bytes, a chosen CAS included.
  std::uint64_t BytesFor(std::size_t item_bytes) const noexcept;

  // False: no class has a substitute, under the present memory limit.
  bool MayUseSubstitutes() const { return opening_.IsInForce(); }
  // True if Reserve would use a chunk of another class in the place of class `c`, which has no
  // page; see ClassOpening. REQUIRES: no class is locked.
  bool HasSubstitute(SlabClass& c) const { return opening_.HasSubstitute(c); }

  // To be called when class `c` had no chunk: tries to get a page for the class, first one that
  // another class can spare. Then the caller tries again, as `search` says. Returns false if there
  // is nothing more to try; then the failure is counted. `search` is new for each chunk that is
  // looked for. REQUIRES: no bucket is locked.
  bool MakeRoom(SlabClass& c, RoomSearch& search, Lane& lane);

 private:
  // MakeRoom, but a failure is not counted.
  bool FindRoom(SlabClass& c, RoomSearch& search, Lane& lane);
  // Gives class `c`, if it has no page, one that no class has. Returns true if it has given one.
  bool Open(SlabClass& c) const;
  // Takes a chunk of class `wanted` or of its substitute, see ClassOpening. `head` is the first
  // chunk of the item if this is to be a continuation, else kNoItem.
  ItemRef AllocateChunk(SlabClass& wanted, ItemRef head, const Held& held, Lane& lane);
  // Reserves the continuations of a chained item.
  bool ReserveContinuations(ItemRef head, std::size_t value_bytes, const Held& held, Lane& lane);

  const SlabClasses& classes_;
  ClassOpening& opening_;
  ChunkAllocator& allocator_;
  PageMover& mover_;
};

}  // namespace larder::slab
