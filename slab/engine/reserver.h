// Reserver: reserves chunks for items that no other thread can see yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "slab/check.h"
#include "slab/classes/slab_classes.h"
#include "slab/engine/chunk_allocator.h"
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
  Reserver(const SlabClasses& classes, ChunkAllocator& allocator, PageMover& mover)
      : classes_(classes), allocator_(allocator), mover_(mover) {}

  // Reserves room for an item of this spec, and writes its key. With a chosen_cas the item shows
  // that as its CAS instead of a number of the cache. Evicts to make room; moves a page too, if no
  // bucket is held. Fails with kNoMemory if there is no room; with a bucket held, a try without it
  // may still succeed. REQUIRES: the key is not empty and at most kKeyBytesMax bytes long.
  Result<ReservedItem, StoreStatus> Reserve(ItemSpec spec, std::optional<std::uint64_t> chosen_cas,
                                            const Held& held, Lane& lane);

  // Bytes of the arena that Reserve takes: those of the chunks, each with its share of the unused
  // end of its page.
  std::uint64_t BytesFor(ItemSpec spec, std::optional<std::uint64_t> chosen_cas) const noexcept;
  // The same for an item of so many bytes, a chosen CAS included.
  std::uint64_t BytesFor(std::size_t item_bytes) const noexcept;

  // To be called when class `c` had no chunk: tries to get a page for the class, first one that
  // another class can spare. Then the caller tries again, as `search` says. Returns false if there
  // is nothing more to try; then the failure is counted. `search` is new for each chunk that is
  // looked for. REQUIRES: no bucket is locked.
  bool MakeRoom(SlabClass& c, RoomSearch& search, Lane& lane);

 private:
  // Takes a chunk of class `c`. `head` is the first chunk of the item if this is to be a
  // continuation, else kNoItem.
  ItemRef AllocateChunk(SlabClass& c, ItemRef head, const Held& held, Lane& lane);
  // Reserves the continuations of a chained item.
  bool ReserveContinuations(ItemRef head, std::size_t value_bytes, const Held& held, Lane& lane);

  const SlabClasses& classes_;
  ChunkAllocator& allocator_;
  PageMover& mover_;
};

}  // namespace larder::slab
