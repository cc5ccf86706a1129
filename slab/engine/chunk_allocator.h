// How chunks are found for new items: free ones, or those of items that are evicted.
#pragma once

#include <cstdint>

#include "slab/classes/slab_classes.h"
#include "slab/engine/liveness.h"
#include "slab/engine/magazines.h"
#include "slab/engine/pause.h"
#include "slab/engine/unlinker.h"
#include "slab/ids.h"
#include "slab/index/index.h"
#include "slab/item/hash.h"
#include "slab/lane.h"

namespace larder::slab {

// A bucket that the caller has locked, and an item in it that must stay.
struct Held {
  const Index::Guard* guard = nullptr;  // None: and no item.
  ItemRef kept = kNoItem;
};

// ChunkAllocator gives chunks of a class: from its free ones, from new pages, and by evicting its
// items. A lane that stores new items takes several at a time, into its Magazine.
//
// Threads: any; where a class is locked, buckets are only tried, and what cannot be had is passed
//          over.
// Owns:    nothing; all that it is made of must outlive it.
class ChunkAllocator {
 public:
  ChunkAllocator(const SlabClasses& classes, Index& index, const Magazines& magazines,
                 const Liveness& liveness, Unlinker& unlinker, const Pause& pause, KeyHasher hash,
                 bool evicts)
      : classes_(classes),
        index_(index),
        magazines_(magazines),
        liveness_(liveness),
        unlinker_(unlinker),
        pause_(pause),
        hash_(hash),
        evicts_(evicts) {}

  bool evicts() const { return evicts_; }

  // All: a chunk of class `c` that is the caller's, or kNoItem if none is to be had.

  // Free, or of an evicted item.
  [[nodiscard]] ItemRef Allocate(SlabClass& c, const Held& held, Lane& lane, FreeLater& free_later)
      LARDER_REQUIRES(c.mutex());
  // Of an evicted item. REQUIRES: evicts().
  [[nodiscard]] ItemRef Evict(SlabClass& c, const Held& held, Lane& lane, FreeLater& free_later)
      LARDER_REQUIRES(c.mutex());
  // For a new item: from the lane's magazine, which is refilled when it is empty. The chunk's use
  // is kStocked. REQUIRES: `held` is the bucket of the new item.
  [[nodiscard]] ItemRef TakeStocked(SlabClass& c, const Index::Guard& held, Lane& lane,
                                    FreeLater& free_later) LARDER_EXCLUDES(c.mutex());

 private:
  // Slots of a magazine with items that are to leave, those of pages to be emptied by a bit each.
  struct Leaving {
    std::uint32_t begin = 0;  // Behind those with free chunks.
    std::uint32_t end = 0;
    std::uint32_t draining = 0;
  };

  [[nodiscard]] ItemRef AllocateOrEvict(SlabClass& c, const Held& held, Lane& lane,
                                        FreeLater& free_later) LARDER_REQUIRES(c.mutex());
  void Refill(SlabClass& c, Magazine& magazine, const Index::Guard& held, Lane& lane,
              FreeLater& free_later) LARDER_EXCLUDES(c.mutex());
  Leaving TakeBatch(SlabClass& c, Magazine& magazine, const Index::Guard& held)
      LARDER_EXCLUDES(c.mutex());
  // The chunk of the item that is in the slot to leave. kNoItem: it stays, or is no longer there.
  ItemRef Release(Magazine& magazine, std::uint32_t slot, const Index::Guard& held, Lane& lane,
                  FreeLater& free_later);

  const SlabClasses& classes_;
  Index& index_;
  const Magazines& magazines_;
  const Liveness& liveness_;
  Unlinker& unlinker_;
  const Pause& pause_;
  const KeyHasher hash_;
  const bool evicts_;
};

}  // namespace larder::slab
