// Storer: stores values under their keys.
#pragma once

#include <algorithm>
#include <atomic>
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

// Storer makes items visible: in one call if the value is complete, or in two, Reserve and Publish,
// if the value arrives in pieces.
//
// Threads:    any thread, with no bucket and no class locked.
// Owns:       nothing; its parts must outlive it.
class Storer {
 public:
  // The parts of the cache that it uses.
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
                                               parts.admission.item_bytes_max())) {
    NoteMemoryLimit();
  }

  // To be called when the memory limit has changed. Any thread may call it.
  void NoteMemoryLimit();

  // See Cache::Store, Cache::Reserve and Cache::Publish for these.
  StoreOutcome Store(StoreMode mode, const ItemSpec& spec, std::string_view value,
                     std::uint64_t cas_unique, Lane& lane) LARDER_EXCLUDES(kBucketLocked);
  Result<ReservedItem, StoreStatus> Reserve(const ItemSpec& spec, Lane& lane,
                                            std::optional<std::uint64_t> chosen_cas)
      LARDER_EXCLUDES(kBucketLocked);
  StoreOutcome Publish(ReservedItem& item, const PublishTerms& terms, Lane& lane)
      LARDER_EXCLUDES(kBucketLocked);

 private:
  // A store of an item that fits into one chunk of class `c`.
  struct SmallStore {
    StoreMode mode;
    const ItemSpec& spec;
    // ItemBytes(spec).
    std::size_t bytes;
    std::string_view value;
    std::uint64_t cas_unique;
    SlabClass& c;
  };

  // Why a store with this mode and CAS is refused, with `old` as the present item (nullptr: none);
  // nothing if it is not. Needs no memory.
  static std::optional<StoreStatus> Refusal(StoreMode mode, const Item* old,
                                            std::uint64_t cas_unique) noexcept;
  // When a class without a page gets one: with its first item, or when that is worth a page; until
  // then its items use the chunks of another class. See ClassOpening.
  enum class Opening : std::uint8_t { kAtOnce, kWhenWorthIt };

  // Store() without eviction, where the item gets room for an expiry, or in a small memory.
  [[gnu::noinline]] StoreOutcome StoreUnusually(StoreMode mode, ItemSpec spec,
                                                std::string_view value, std::uint64_t cas_unique,
                                                Lane& lane) LARDER_EXCLUDES(kBucketLocked);
  // Store(), which the compiler makes in two versions: checking for a substitute where there is
  // none would cost every set 15 instructions.
  template <Opening kOpening>
  StoreOutcome StoreAs(StoreMode mode, const ItemSpec& spec, std::string_view value,
                       std::uint64_t cas_unique, Lane& lane) LARDER_EXCLUDES(kBucketLocked);
  // Store() of a large value, of append or prepend, or of an item whose class has no page:
  // reserves, fills and publishes.
  [[gnu::noinline]] StoreOutcome StoreReserved(StoreMode mode, const ItemSpec& spec,
                                               std::string_view value, std::uint64_t cas_unique,
                                               Lane& lane) LARDER_EXCLUDES(kBucketLocked);
  // Store() of an item that fits into one chunk, and that is not joined with an old one.
  template <Opening kOpening>
  StoreOutcome StoreSmall(const SmallStore& store, Lane& lane) LARDER_EXCLUDES(kBucketLocked);
  // One try of StoreSmall. Returns the status, and writes the rest of the outcome. Returns
  // kNoMemory, and changes nothing, if there was no chunk; see Held::prefers_page for what it does
  // not do to find one.
  StoreStatus TryStoreSmall(const SmallStore& store, bool prefers_page, StoreOutcome& outcome,
                            Lane& lane) LARDER_EXCLUDES(kBucketLocked);
  // Stores over an old item of the same class. REQUIRES: old.is_rewritable(), and its bucket is
  // locked.
  void Overwrite(const SmallStore& store, Item& old, std::uint64_t number, Lane& lane);
  // TakeStocked and TakeQueued take a chunk for the item and write its key. TakeStocked is for a
  // key without an item, and leaves the item in the lane's magazine, where it waits to be queued.
  // TakeQueued queues the item at once, in the place of `old` if there is one. Both return kNoItem
  // if no chunk can be found. REQUIRES: `held` holds the key's bucket, and keeps `old`.
  ItemRef TakeStocked(const SmallStore& store, const Held& held, Lane& lane, FreeLater& free_later)
      LARDER_REQUIRES(kBucketLocked);
  ItemRef TakeQueued(const SmallStore& store, const Held& held, const LockedItem& old, Lane& lane,
                     FreeLater& free_later) LARDER_REQUIRES(kBucketLocked);
  // Takes an old item of another class, whose place in the index the new one has got, out of its
  // queue.
  void Unqueue(ItemRef old, SlabClass& old_class, Lane& lane, FreeLater& free_later)
      LARDER_REQUIRES(kBucketLocked);
  // Publish() of an item whose value is complete as it is.
  StoreOutcome PublishWhole(ReservedItem& item, const PublishTerms& terms, Lane& lane)
      LARDER_EXCLUDES(kBucketLocked);
  // PublishWhole() with the bucket locked.
  StoreOutcome PublishLocked(Index::Guard& guard, ReservedItem& item, const PublishTerms& terms,
                             Lane& lane) LARDER_REQUIRES(kBucketLocked);

  Parts parts_;
  // Items up to this size are stored in one chunk.
  const std::size_t small_bytes_max_;
  // Items are evicted, and every class opens with its first item. Relaxed: a store that sees an old
  // value only opens a class, or does not.
  std::atomic<bool> is_usual_{false};
};

}  // namespace larder::slab
