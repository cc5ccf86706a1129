// How reserved items become linked ones.
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
// Threads: any; caller locks the item's bucket, and no class.
// Owns:    nothing; all that it is made of must outlive it.
class Linker {
 public:
  Linker(const SlabClasses& classes, const Liveness& liveness)
      : classes_(classes), liveness_(liveness) {}

  // Links an item that is filled and has its number, in place of `old`, the item of its key that is
  // linked (or none), which is unlinked for it: its chunk is freed, or left to its last pin.
  void Link(Index::Guard& guard, const LockedItem& old, ReservedItem& item, Lane& lane)
      LARDER_REQUIRES(kBucketLocked);

 private:
  void Replace(Index::Guard& guard, const LockedItem& old, ItemRef ref, Lane& lane)
      LARDER_REQUIRES(kBucketLocked);

  const SlabClasses& classes_;
  const Liveness& liveness_;
};

}  // namespace larder::slab
