// Unlinker: removes items from the cache.
#pragma once

#include <cstdint>

#include "slab/classes/magazine.h"
#include "slab/classes/slab_classes.h"
#include "slab/engine/liveness.h"
#include "slab/engine/locked_item.h"
#include "slab/engine/versions.h"
#include "slab/eviction/removal_records.h"
#include "slab/ids.h"
#include "slab/index/index.h"
#include "slab/item/hash.h"
#include "slab/lane.h"
#include "slab/store.h"
#include "slab/sync/mutex.h"

namespace larder::slab {

// A linked item, and the hash of its key.
struct HashedRef {
  ItemRef ref = kNoItem;
  std::uint64_t hash = 0;
};

// Unlinker takes items out of the cache: out of the index, the eviction queue and the counts, and
// into the removal records. Every item is linked until it comes here. Afterwards it is an owned
// chunk, which is freed now, later (FreeLater), or with its last pin, or is used again.
//
//   which                        locked by the caller       where the chunk goes
//   Unlink, UnlinkDead           bucket                     freed, or left to its last pin
//   UnlinkDeadInClass            bucket, class              freed, or FreeLater if it is chained
//   UnlinkDequeued               bucket                     the caller's, as its continuations are
//
// Threads:    any thread; callers lock as the table says.
// Owns:       nothing; its parts must outlive it.
class Unlinker {
 public:
  // The parts of the cache that it uses.
  struct Parts {
    const SlabClasses& classes;
    Index& index;
    const Liveness& liveness;
    const Versions& versions;
    RemovalRecords& records;
    KeyHasher hash;
  };
  explicit Unlinker(const Parts& parts)
      : classes_(parts.classes),
        index_(parts.index),
        liveness_(parts.liveness),
        versions_(parts.versions),
        records_(parts.records),
        hash_(parts.hash) {}

  // Removes an item for the reason `why`. `hash` is that of its key. For this and the following:
  // REQUIRES: `guard` holds the item's bucket.
  void Unlink(Index::Guard& guard, const LockedItem& item, std::uint64_t hash, RemovalReason why,
              Lane& lane) LARDER_REQUIRES(kBucketLocked);
  // Removes a dead item, and returns kExpired or kFlushed. Not inlined, and without a parameter for
  // the hash, because otherwise every get and set would save registers for it. REQUIRES: the item
  // is dead.
  [[gnu::noinline, gnu::cold]] Presence UnlinkDead(Index::Guard& guard, const LockedItem& item,
                                                   Lane& lane) LARDER_REQUIRES(kBucketLocked);
  // Removes a dead item with its class locked. REQUIRES: the item is dead, of class `c`, and not
  // pinned.
  void UnlinkDeadInClass(SlabClass& c, Index::Guard& guard, HashedRef dead, Lane& lane,
                         FreeLater& free_later) LARDER_REQUIRES(kBucketLocked, c.mutex());
  // Removes an item to make room. Its chunk, and its continuations if it is chained, then belong to
  // the caller. Returns what the class has to count. REQUIRES: `ref` is no longer in a queue, and
  // not pinned; `why` is kEvicted, or the cause of its death if it is dead.
  ReclaimedItem UnlinkDequeued(Index::Guard& guard, ItemRef ref, std::uint64_t hash,
                               RemovalReason why, Lane& lane) LARDER_REQUIRES(kBucketLocked);

  // Reports the items that the lane has linked and unlinked to the index, once they are enough, so
  // that the index grows. REQUIRES: no bucket is locked.
  void ReportCount(Lane& lane) noexcept LARDER_EXCLUDES(kBucketLocked) {
    if (lane.items_unreported < kReportAt && lane.items_unreported > -kReportAt) return;
    index_.Grow(lane.items_unreported, lane.number);
    lane.items_unreported = 0;
  }

  // Prefetches the line of the removal records that the removal of this key will write.
  void PrefetchRecord(std::uint64_t hash) const noexcept { records_.Prefetch(hash); }

 private:
  // A lane reports to the index when its items have changed by this number.
  static constexpr std::int32_t kReportAt = 64;

  // Takes the item out of the index and the counts, and records its removal.
  void Forget(Index::Guard& guard, const Index::Slot& slot, std::uint64_t hash, RemovalReason why,
              Lane& lane) LARDER_REQUIRES(kBucketLocked);
  // Tells the lane's observer of the removal of an item.
  [[gnu::noinline, gnu::cold]] void Observe(const Item& item, RemovalReason why,
                                            const Lane& lane) const noexcept;
  // Records the removal of an item.
  void Record(std::uint64_t hash, RemovalReason why, const Item& item, const Lane& lane) noexcept;

  const SlabClasses& classes_;
  Index& index_;
  const Liveness& liveness_;
  const Versions& versions_;
  RemovalRecords& records_;
  const KeyHasher hash_;
};

}  // namespace larder::slab
