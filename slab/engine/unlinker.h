// How items leave the cache.
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

// Unlinker takes items out of the cache: out of the index, out of the eviction queue, off the
// counts, and into the removal records. An item is linked until it comes here, and afterwards it is
// an owned chunk, which is freed now, later (FreeLater), with its last pin, or used again.
//
//   which                        locked by the caller       where the chunk goes
//   Unlink, UnlinkDead           bucket                     freed, or left to its last pin
//   UnlinkDeadInClass            bucket, class              freed, or FreeLater if it is chained
//   UnlinkReleased               bucket                     the caller's; continuations: FreeLater
//
// Threads: any; callers lock as the table says.
// Owns:    nothing; all that it is made of must outlive it.
class Unlinker {
 public:
  Unlinker(const SlabClasses& classes, Index& index, const Liveness& liveness,
           const Versions& versions, RemovalRecords& records, KeyHasher hash)
      : classes_(classes),
        index_(index),
        liveness_(liveness),
        versions_(versions),
        records_(records),
        hash_(hash) {}

  // The item has `hash`. REQUIRES (all): the guard holds the item's bucket.
  void Unlink(Index::Guard& guard, const LockedItem& item, std::uint64_t hash, RemovalReason why,
              Lane& lane) LARDER_REQUIRES(kBucketLocked);
  // REQUIRES: the item is dead. Apart, and without the hash: every get and set would save registers
  // for it.
  [[gnu::noinline, gnu::cold]] Presence UnlinkDead(Index::Guard& guard, const LockedItem& item,
                                                   Lane& lane) LARDER_REQUIRES(kBucketLocked);
  // REQUIRES: the item is dead, of this class, and nobody pins it.
  void UnlinkDeadInClass(SlabClass& c, Index::Guard& guard, const LockedItem& item,
                         std::uint64_t hash, Lane& lane, FreeLater& free_later)
      LARDER_REQUIRES(kBucketLocked, c.mutex());
  // For room: `ref` is in no queue any more, and nobody pins it. What its class will count.
  ReclaimedItem UnlinkReleased(Index::Guard& guard, ItemRef ref, std::uint64_t hash, bool is_dead,
                               Lane& lane, FreeLater& free_later) LARDER_REQUIRES(kBucketLocked);

  // Has the index grow with the items that the lane has linked. REQUIRES: no bucket is locked.
  void ReportCount(Lane& lane) noexcept LARDER_EXCLUDES(kBucketLocked) {
    if (lane.items_unreported < kReportAt && lane.items_unreported > -kReportAt) return;
    index_.Grow(lane.items_unreported, lane.number);
    lane.items_unreported = 0;
  }

  // A line of the removal records will be needed soon.
  void PrefetchRecord(std::uint64_t hash) const noexcept { records_.Prefetch(hash); }

 private:
  static constexpr std::int32_t kReportAt = 16;  // Changes that a lane gathers for the index.

  // Out of index and counts, and into the records.
  void Forget(Index::Guard& guard, const Index::Slot& slot, std::uint64_t hash, RemovalReason why,
              Lane& lane) LARDER_REQUIRES(kBucketLocked);
  void Record(std::uint64_t hash, RemovalReason why, const Item& item, const Lane& lane) noexcept;

  const SlabClasses& classes_;
  Index& index_;
  const Liveness& liveness_;
  const Versions& versions_;
  RemovalRecords& records_;
  const KeyHasher hash_;
};

}  // namespace larder::slab
