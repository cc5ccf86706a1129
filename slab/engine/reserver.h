// Chunks for items that nobody sees yet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

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

// What follows the key of an item of this spec, in a chunk that is the caller's; all but its
// number, its key and the value, which begins at what it returns.
[[gnu::always_inline]] inline std::byte* FillHeader(Item& item, const ItemSpec& spec,
                                                    std::uint32_t value_bytes,
                                                    const Lane& lane) noexcept {
  item.set_last_access(lane.now_s);
  return item.SetShape(
      {.client_flags = spec.client_flags, .expiry = spec.expiry, .can_expire = spec.can_expire()},
      value_bytes);
}

// Reserver finds the chunks that an item needs, and lays it out in them: one chunk, or a chain.
//
// Threads: any, with no class locked.
// Owns:    nothing; all that it is made of must outlive it.
class Reserver {
 public:
  Reserver(const SlabClasses& classes, ChunkAllocator& allocator, PageMover& mover)
      : classes_(classes), allocator_(allocator), mover_(mover) {}

  // Room for an item of this spec; with a chosen_cas it shows that instead of a number of the
  // cache's own. Evicts for it, and moves a page if no bucket is held. kNoMemory if there is none;
  // with a bucket held that says little.
  Result<ReservedItem, StoreStatus> Reserve(ItemSpec spec, std::optional<std::uint64_t> chosen_cas,
                                            const Held& held, Lane& lane);

  // What Reserve takes of the arena: chunks, each with its share of the end of its page.
  std::uint64_t BytesFor(ItemSpec spec, bool has_chosen_cas) const noexcept;

  // After a chunk of class `c` was not to be had: false if there is nothing more to try. `tries`
  // counts from 0.
  bool MakeRoom(SlabClass& c, int tries, Lane& lane);

 private:
  // `head` is the item of a continuation, kNoItem for an item itself.
  ItemRef AllocateChunk(SlabClass& c, ItemRef head, const Held& held, Lane& lane);
  bool ReserveContinuations(ItemRef head, std::size_t value_bytes, const Held& held, Lane& lane);

  const SlabClasses& classes_;
  ChunkAllocator& allocator_;
  PageMover& mover_;
};

}  // namespace larder::slab
