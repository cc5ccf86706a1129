// Walker: walks over the items of a cache, for the sweep and for dumps.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "slab/classes/slab_classes.h"
#include "slab/engine/item_snapshot.h"
#include "slab/engine/liveness.h"
#include "slab/engine/magazines.h"
#include "slab/engine/page_walk.h"
#include "slab/engine/pause.h"
#include "slab/engine/queue_walk.h"
#include "slab/engine/unlinker.h"
#include "slab/ids.h"
#include "slab/index/index.h"
#include "slab/item/hash.h"
#include "slab/item/item.h"
#include "slab/lane.h"

namespace larder::slab {

// What one step of the sweep has met.
struct SweepTally {
  // Chunks looked at; a page without any counts as one.
  std::uint32_t chunks = 1;
  // Items looked at.
  std::uint32_t checked = 0;
  // Of these: alive, with an expiry.
  std::uint32_t expiring = 0;
  // Of these: dead, and freed.
  std::uint32_t reclaimed = 0;
  // Items that were passed over, because their bucket was locked or they were pinned.
  std::uint32_t passed_over = 0;
};

// Walker visits the items of a cache in steps, in the order of addresses or in the order of a
// queue.
//
// Threads:    any thread, with no bucket and no class locked. A step locks one class for at most
//             kWalkChunksMax items; no other thread can store a new item into that class meanwhile.
// Owns:       nothing; its parts must outlive it.
class Walker {
 public:
  // The parts of the cache that it uses.
  struct Parts {
    const SlabClasses& classes;
    Index& index;
    const Magazines& magazines;
    const Liveness& liveness;
    Unlinker& unlinker;
    const Pause& pause;
    KeyHasher hash;
  };
  explicit Walker(const Parts& parts)
      : classes_(parts.classes),
        index_(parts.index),
        magazines_(parts.magazines),
        liveness_(parts.liveness),
        unlinker_(parts.unlinker),
        pause_(parts.pause),
        hash_(parts.hash) {}

  // True if the walk over the pages has visited all chunks.
  bool IsAtEnd(const PageWalk& walk) const { return walk.page >= classes_.arena().touched_pages(); }
  // Does the next step of a sweep, over up to kWalkChunksMax chunks of any class: frees items that
  // expired or were flushed and that are not in use. REQUIRES: the walk is not at its end.
  SweepTally Sweep(PageWalk& walk, Lane& lane) LARDER_EXCLUDES(kBucketLocked);
  // Does the next step of a walk that copies the living items of `classes`. Returns how many of
  // `snapshots` it has filled. REQUIRES: the walk is not at its end.
  std::size_t Snapshot(PageWalk& walk, const ClassSet& classes, const Lane& lane,
                       std::span<ItemSnapshot, kWalkChunksMax> snapshots)
      LARDER_EXCLUDES(kBucketLocked);
  // Does the next step of a walk over the queues of the one class that the walk names, from the
  // newest item on. The class is locked for as many items as `snapshots` has room for, at most
  // kWalkChunksMax. Returns how many of `snapshots` it has filled.
  std::size_t SnapshotQueue(QueueWalk& walk, Lane& lane, std::span<ItemSnapshot> snapshots)
      LARDER_EXCLUDES(kBucketLocked);

 private:
  // The items that one step of a walk has met.
  struct WalkedItems {
    std::array<HashedRef, kWalkChunksMax> list;
    std::size_t count = 0;
    // Chunks looked at.
    std::uint32_t chunks = 0;
    // Chunks with an item that is to be evicted and that a lane has taken out of its magazine. Such
    // an item can neither be read nor waited for while the class is locked.
    std::array<std::uint32_t, kWalkChunksMax> held{};
    std::size_t held_count = 0;
    // The magazines of the class were emptied in this step.
    bool is_emptied = false;

    std::span<const HashedRef> found() const { return std::span(list).first(count); }
    void Add(const HashedRef& item) {
      LARDER_ASSERT(count < list.size());
      list[count++] = item;
    }
  };

  // The class to lock for the next step. Returns nullptr, and goes on to the next page, if the page
  // has nothing for the walk. `wanted`: the classes to visit; nullptr: all.
  SlabClass* EnterPage(PageWalk& walk, const ClassSet* wanted);
  // True if the page is of class `c` and the chunk was handed out once.
  bool HasChunk(SlabClass& c, PageIndex page, std::uint32_t number) const
      LARDER_REQUIRES(c.mutex());
  // Lists the linked items of the next chunks, and moves the walk behind them. The items stay
  // linked and in their buckets while the class is locked; their buckets are prefetched.
  void ListLinked(SlabClass& c, PageWalk& walk, WalkedItems& items) LARDER_REQUIRES(c.mutex());
  // Lists the item of one chunk, if it has one. REQUIRES: HasChunk(c, page, number).
  void ListChunk(SlabClass& c, PageIndex page, std::uint32_t number, WalkedItems& items)
      LARDER_REQUIRES(c.mutex());
  // Frees the item if it is dead and in no use, and counts what it was.
  void SweepItem(SlabClass& c, const HashedRef& found, Lane& lane, SweepTally& tally,
                 FreeLater& free_later) LARDER_REQUIRES(c.mutex());
  // Lists the next `count` items of the queues, and moves the walk behind them.
  void ListQueued(SlabClass& c, QueueWalk& walk, WalkedItems& items, std::size_t count)
      LARDER_REQUIRES(c.mutex());
  // The first item behind the walk's place; kNoItem if the walk is at its end.
  ItemRef Resume(SlabClass& c, const QueueWalk& walk) const LARDER_REQUIRES(c.mutex());
  // The item behind `ref` in the order of the walk; kNoItem at the end.
  ItemRef NextQueued(SlabClass& c, ItemRef ref) const LARDER_REQUIRES(c.mutex());
  // Copies the item, if it is alive, to snapshots[taken] and raises `taken`. REQUIRES: the item's
  // bucket is locked.
  void TakeSnapshot(const Item& item, const Lane& lane, std::span<ItemSnapshot> snapshots,
                    std::size_t& taken) const;

  const SlabClasses& classes_;
  Index& index_;
  const Magazines& magazines_;
  const Liveness& liveness_;
  Unlinker& unlinker_;
  const Pause& pause_;
  const KeyHasher hash_;
};

}  // namespace larder::slab
