// How the cache is walked: for what is dead, and for dumps.
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

// What a step of the sweep met.
struct SweepTally {
  std::uint32_t chunks = 1;       // Looked at; a page without any counts as one.
  std::uint32_t checked = 0;      // Items.
  std::uint32_t expiring = 0;     // Of these, alive but with an expiry.
  std::uint32_t reclaimed = 0;    // Of these, dead and freed.
  std::uint32_t passed_over = 0;  // Items that were busy or pinned.
};

// Walker goes through the items of a cache in steps, in the order of addresses or of a queue.
//
// Threads: any, with no bucket and no class locked. A step holds one class, which nobody who stores
//          into it can use meanwhile, for kWalkChunksMax items at most.
// Owns:    nothing; all that it is made of must outlive it.
class Walker {
 public:
  Walker(const SlabClasses& classes, Index& index, const Magazines& magazines,
         const Liveness& liveness, Unlinker& unlinker, const Pause& pause, KeyHasher hash)
      : classes_(classes),
        index_(index),
        magazines_(magazines),
        liveness_(liveness),
        unlinker_(unlinker),
        pause_(pause),
        hash_(hash) {}

  // See Cache for the four.
  bool IsAtEnd(const PageWalk& walk) const { return walk.page >= classes_.arena().touched_pages(); }
  SweepTally Sweep(PageWalk& walk, Lane& lane) LARDER_EXCLUDES(kBucketLocked);
  std::size_t Snapshot(PageWalk& walk, const ClassSet& classes, const Lane& lane,
                       std::span<ItemSnapshot, kWalkChunksMax> snapshots)
      LARDER_EXCLUDES(kBucketLocked);
  std::size_t SnapshotQueue(QueueWalk& walk, Lane& lane, std::span<ItemSnapshot> snapshots)
      LARDER_EXCLUDES(kBucketLocked);

 private:
  // A linked item that a walk met.
  struct WalkedItem {
    ItemRef ref = kNoItem;
    std::uint64_t hash = 0;
  };
  struct WalkedItems {
    std::array<WalkedItem, kWalkChunksMax> list;
    std::size_t count = 0;
    std::uint32_t chunks = 0;  // Looked at.
    // Chunks whose item is to leave and is taken out of its magazine by a lane: it can neither be
    // read nor waited for while the class is locked.
    std::array<std::uint32_t, kWalkChunksMax> held{};
    std::size_t held_count = 0;
    bool is_emptied = false;  // The magazines of the class.

    std::span<const WalkedItem> found() const { return std::span(list).first(count); }
    void Add(const WalkedItem& item) {
      LARDER_ASSERT(count < list.size());
      list[count++] = item;
    }
  };

  // The class to lock for the next step; nullptr, and the page is left, if there is nothing for it.
  SlabClass* EnterPage(PageWalk& walk, const ClassSet* wanted);
  // The page is of the class, and the chunk was handed out once.
  bool HasChunk(SlabClass& c, PageIndex page, std::uint32_t number) const
      LARDER_REQUIRES(c.mutex());
  // Steps on. The items stay linked, and in their buckets, while the class is locked; the buckets
  // are being fetched.
  void ListLinked(SlabClass& c, PageWalk& walk, WalkedItems& items) LARDER_REQUIRES(c.mutex());
  // REQUIRES: HasChunk.
  void ListChunk(SlabClass& c, PageIndex page, std::uint32_t number, WalkedItems& items)
      LARDER_REQUIRES(c.mutex());
  void SweepItem(SlabClass& c, const WalkedItem& found, Lane& lane, SweepTally& tally,
                 FreeLater& free_later) LARDER_REQUIRES(c.mutex());
  // The items that come next, and the walk goes on behind them.
  void ListQueued(SlabClass& c, QueueWalk& walk, WalkedItems& items, std::size_t count)
      LARDER_REQUIRES(c.mutex());
  // The first item behind the walk's place; kNoItem at its end.
  ItemRef Resume(SlabClass& c, const QueueWalk& walk) const LARDER_REQUIRES(c.mutex());
  ItemRef NextQueued(SlabClass& c, ItemRef ref) const LARDER_REQUIRES(c.mutex());
  // What is alive of an item whose bucket is locked, into the next of the snapshots.
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
