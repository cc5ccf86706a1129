// How values are stored under their keys.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "slab/classes/slab_classes.h"
#include "slab/engine/admission.h"
#include "slab/engine/chunk_allocator.h"
#include "slab/engine/deleter.h"
#include "slab/engine/growth.h"
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
#include "slab/lane.h"
#include "slab/result.h"
#include "slab/store.h"

namespace larder::slab {

// Storer makes items visible: those whose value is at hand at once, others once it is there.
//
// Threads: any, with no bucket and no class locked.
// Owns:    nothing; all that it is made of must outlive it.
class Storer {
 public:
  // What it is made of.
  struct Parts {
    Index& index;
    const SlabClasses& classes;
    const Admission& admission;
    Versions& versions;
    const Liveness& liveness;
    Unlinker& unlinker;
    Lookup& lookup;
    Linker& linker;
    Usage& usage;
    ChunkAllocator& allocator;
    Reserver& reserver;
    Growth& growth;
    Deleter& deleter;
  };
  explicit Storer(const Parts& parts)
      : parts_(parts),
        small_bytes_max_(std::min<std::size_t>(parts.classes.ladder().chunk_bytes_max(),
                                               parts.admission.item_bytes_max())) {}

  // See Cache::Store, Reserve and Publish.
  StoreOutcome Store(StoreMode mode, const ItemSpec& spec, std::string_view value,
                     std::uint64_t cas_unique, Lane& lane) LARDER_EXCLUDES(kBucketLocked);
  Result<ReservedItem, StoreStatus> Reserve(const ItemSpec& spec, Lane& lane,
                                            std::optional<std::uint64_t> chosen_cas)
      LARDER_EXCLUDES(kBucketLocked);
  StoreOutcome Publish(ReservedItem& item, const PublishTerms& terms, Lane& lane)
      LARDER_EXCLUDES(kBucketLocked);

 private:
  // A store of an item that fits into a chunk of class `c`, with its value.
  struct SmallStore {
    StoreMode mode;
    const ItemSpec& spec;
    std::size_t bytes;  // ItemBytes(spec).
    std::string_view value;
    std::uint64_t cas_unique;
    SlabClass& c;
  };

  // The decision of a store before anything is allocated.
  static std::optional<StoreStatus> Refusal(StoreMode mode, const Item* old,
                                            std::uint64_t cas_unique) noexcept;
  // Store() without eviction: a touch will need no memory.
  [[gnu::noinline]] StoreOutcome StoreWithRoom(StoreMode mode, ItemSpec spec,
                                               std::string_view value, std::uint64_t cas_unique,
                                               Lane& lane) LARDER_EXCLUDES(kBucketLocked);
  StoreOutcome StoreSmall(const SmallStore& store, Lane& lane) LARDER_EXCLUDES(kBucketLocked);
  // kNoMemory if there is no chunk: nothing has changed.
  StoreOutcome TryStoreSmall(const SmallStore& store, Lane& lane) LARDER_EXCLUDES(kBucketLocked);
  // The old item is of the class of the store, and nobody reads its value.
  StoreOutcome Overwrite(const SmallStore& store, Item& old, std::uint64_t number, Lane& lane);
  // Both: a chunk with the key of the item in it, which waits to be queued, or is. For an item of a
  // key that has none; for any. kNoItem if none is to be had.
  ItemRef TakeStocked(const SmallStore& store, const Index::Guard& guard, Lane& lane,
                      FreeLater& free_later) LARDER_REQUIRES(kBucketLocked);
  ItemRef TakeQueued(const SmallStore& store, const Index::Guard& guard, const LockedItem& old,
                     Lane& lane, FreeLater& free_later) LARDER_REQUIRES(kBucketLocked);
  // An old item of another class, whose place in the index was taken, is no longer linked.
  void Unqueue(ItemRef old, SlabClass& old_class, Lane& lane, FreeLater& free_later)
      LARDER_REQUIRES(kBucketLocked);
  StoreOutcome PublishWhole(ReservedItem& item, const PublishTerms& terms, Lane& lane)
      LARDER_EXCLUDES(kBucketLocked);
  StoreOutcome PublishLocked(Index::Guard& guard, ReservedItem& item, const PublishTerms& terms,
                             Lane& lane) LARDER_REQUIRES(kBucketLocked);

  Parts parts_;
  const std::size_t small_bytes_max_;  // Items up to this lie in one chunk.
};

}  // namespace larder::slab
