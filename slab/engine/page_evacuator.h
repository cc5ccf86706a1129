// How a page is emptied, so that it can leave its class.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "slab/classes/slab_classes.h"
#include "slab/engine/chunk_allocator.h"
#include "slab/engine/liveness.h"
#include "slab/engine/magazines.h"
#include "slab/engine/pause.h"
#include "slab/engine/unlinker.h"
#include "slab/ids.h"
#include "slab/index/index.h"
#include "slab/item/hash.h"
#include "slab/lane.h"
#include "slab/sync/counter.h"
#include "slab/sync/mutex.h"

namespace larder::slab {

// What emptying pages did so far. Threads: written by the page mover, read by any thread.
struct PageMoveCounters {
  Counter moved_items;    // Copied to another page of their class.
  Counter moved_pieces;   // Of large items, likewise.
  Counter dropped_items;  // Evicted, because there was no chunk to copy them to.
  Counter busy_pages;     // Had to wait, because an item was in use.
};

// PageEvacuator takes all items out of a page: it copies them to other pages of the class, or
// evicts them where there is no chunk to copy them to. Others use the class, and the items,
// meanwhile.
//
// Threads: one at a time: the page mover, which has no bucket or class locked.
// Owns:    the place where it looks for a page next.
class PageEvacuator {
 public:
  PageEvacuator(const SlabClasses& classes, Index& index, const Magazines& magazines,
                const Liveness& liveness, Unlinker& unlinker, ChunkAllocator& allocator,
                const Pause& pause, KeyHasher hash, PageMoveCounters& counters)
      : classes_(classes),
        index_(index),
        magazines_(magazines),
        liveness_(liveness),
        unlinker_(unlinker),
        allocator_(allocator),
        pause_(pause),
        hash_(hash),
        counters_(counters) {}

  // Of the pages of class `c` that nobody seems to use, one with the fewest items; among equals in
  // turn. None of `busy`. Nothing if there is no such page.
  std::optional<PageIndex> Choose(SlabClass& c, std::span<const PageIndex> busy)
      LARDER_EXCLUDES(c.mutex());
  // Takes all items out of a page and the page out of its class: then it is the caller's. False if
  // a chunk of it is still in use: then the page stays. False too if it has left the class
  // since it was chosen, for with its last chunk it goes back to the arena by itself.
  bool Evacuate(SlabClass& c, PageIndex page, Lane& lane) LARDER_EXCLUDES(c.mutex(), kBucketLocked);

 private:
  // A chunk of a page that is to be emptied, and the item that it belongs to.
  struct UsedChunk {
    PageIndex page = 0;
    ItemRef chunk = kNoItem;
    ItemRef item = kNoItem;  // The chunk itself, but for pieces of large items.

    bool is_piece() const { return item != chunk; }
  };
  // The key of an item, copied while its class was locked.
  struct SeenKey;
  enum class Seen : std::uint8_t { kItem, kGone, kBusy };

  // False if a chunk of the page is reserved or pinned, as far as this class knows.
  bool MayEmpty(SlabClass& c, PageIndex page) const LARDER_REQUIRES(c.mutex());
  // What to do with the next chunk of a draining page.
  enum class Next : std::uint8_t { kPageLeft, kIsFree, kIsBusy, kIsUsed };
  Next LookAt(SlabClass& c, UsedChunk& used) LARDER_EXCLUDES(c.mutex());
  // Moves the item that has the chunk elsewhere, or evicts it. False if it is in use.
  bool EmptyChunk(SlabClass& c, const UsedChunk& used, Lane& lane)
      LARDER_EXCLUDES(c.mutex(), kBucketLocked);
  Seen ReadKey(SlabClass& c, const UsedChunk& used, SeenKey& key) const LARDER_EXCLUDES(c.mutex());
  void CountRemoved(const Item& item, bool is_dead);
  // The two: the guard holds the item's bucket, and nobody else uses the item. False if no chunk
  // was to be had: nothing has changed.
  bool MoveItem(SlabClass& c, const UsedChunk& used, Index::Guard& guard, std::uint64_t hash,
                Lane& lane) LARDER_REQUIRES(kBucketLocked);
  bool MovePiece(SlabClass& c, const UsedChunk& used, const Index::Guard& guard, Lane& lane)
      LARDER_REQUIRES(kBucketLocked);
  bool IsPieceOf(SlabClass& c, const UsedChunk& used) const LARDER_EXCLUDES(c.mutex());
  // A chunk of the class in another page: a free one, or that of the item that is the next to go.
  // So the class loses its coldest items with the page, not those that happen to lie in it.
  ItemRef AllocateElsewhere(SlabClass& c, const UsedChunk& used, const Index::Guard& held,
                            Lane& lane) LARDER_EXCLUDES(c.mutex());

  const SlabClasses& classes_;
  Index& index_;
  const Magazines& magazines_;
  const Liveness& liveness_;
  Unlinker& unlinker_;
  ChunkAllocator& allocator_;
  const Pause& pause_;
  const KeyHasher hash_;
  PageMoveCounters& counters_;
  PageIndex cursor_ = 0;
};

}  // namespace larder::slab
