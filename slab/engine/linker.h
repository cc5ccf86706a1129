// Linker: makes reserved items visible.
#pragma once

#include "slab/classes/slab_classes.h"
#include "slab/engine/item_handle.h"
#include "slab/engine/liveness.h"
#include "slab/engine/locked_item.h"
#include "slab/index/index.h"
#include "slab/lane.h"

namespace larder::slab {

// Linker puts items into the cache: into the index, the eviction queue and the counts.
//
// Threads:    any thread; caller locks the item's bucket, and no class.
// Owns:       nothing; its parts must outlive it.
class Linker {
 public:
  Linker(const SlabClasses& classes, const Liveness& liveness)
      : classes_(classes), liveness_(liveness) {}

  // Links an item that is filled and has its number. If `old` is an item of the same key, the new
  // one takes its place, and `old` is unlinked: its chunk is freed now, or with its last pin.
  // REQUIRES: `guard` holds the bucket of the key; `old` is the linked item of the key, or none if
  // there is no such item.
  void Link(Index::Guard& guard, const LockedItem& old, ReservedItem& item, Lane& lane)
      LARDER_REQUIRES(kBucketLocked);

 private:
  // Link() in the place of `old`.
  void Replace(Index::Guard& guard, const LockedItem& old, ItemRef ref, Lane& lane)
      LARDER_REQUIRES(kBucketLocked);

  const SlabClasses& classes_;
  const Liveness& liveness_;
};

}  // namespace larder::slab
