// PageEvacuator: empties a page so that it can leave its class.
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

// Counts of what emptying pages has done since the start.
//
// Threads:    written by the page mover, read by any thread.
struct PageMoveCounters {
  // Items that were copied to another page of their class.
  Counter moved_items;
  // Pieces of large items that were copied to another page of their class.
  Counter moved_pieces;
  // Items that were evicted because there was no chunk to copy them to.
  Counter dropped_items;
  // Pages that could not be emptied because an item was in use.
  Counter busy_pages;
};

// PageEvacuator takes all items out of a page. It copies them to other pages of the class, or
// evicts them where there is no chunk to copy them to. Other threads use the class and the items
// meanwhile.
//
// Threads:    one thread at a time: caller locks the page mover, and no bucket or class.
// Owns:       the place where it looks for a page next.
class PageEvacuator {
 public:
  // The parts of the cache that it uses.
  struct Parts {
    const SlabClasses& classes;
    Index& index;
    const Magazines& magazines;
    const Liveness& liveness;
    Unlinker& unlinker;
    ChunkAllocator& allocator;
    const Pause& pause;
    KeyHasher hash;
    PageMoveCounters& counters;
  };
  explicit PageEvacuator(const Parts& parts)
      : classes_(parts.classes),
        index_(parts.index),
        magazines_(parts.magazines),
        liveness_(parts.liveness),
        unlinker_(parts.unlinker),
        allocator_(parts.allocator),
        pause_(parts.pause),
        hash_(parts.hash),
        counters_(parts.counters) {}

  // Chooses a page of class `c` that no thread seems to use: one with the fewest items, and among
  // equals one after the other. Never a page in `busy`. Returns nothing if there is no such page.
  std::optional<PageIndex> Choose(SlabClass& c, std::span<const PageIndex> busy)
      LARDER_EXCLUDES(c.mutex());
  // Whether a class may lose its only page, and with it all its items.
  enum class OnlyPage : bool { kStays, kMayGo };
  // Takes all items out of a page, and the page out of its class. Returns true if that has
  // succeeded: then the page belongs to the caller. Returns false if a chunk of the page is in use,
  // or if the page has items and is the only one, which stays: then the page stays in its class.
  // Returns false also if the page has left the class since it was chosen, because a page goes back
  // to the arena with its last chunk.
  bool Evacuate(SlabClass& c, PageIndex page, OnlyPage only, Lane& lane)
      LARDER_EXCLUDES(c.mutex(), kBucketLocked);

 private:
  // A chunk of the page that is being emptied, and the item that it belongs to.
  struct UsedChunk {
    PageIndex page = 0;
    ItemRef chunk = kNoItem;
    // The chunk itself; for a piece of a large item, the first chunk of that item.
    ItemRef item = kNoItem;

    // True if the chunk is a continuation.
    bool is_piece() const { return item != chunk; }
  };
  // The key of an item, copied while the item's class was locked.
  struct SeenKey;
  // What ReadKey found: an item, no item, or an item in use.
  enum class Seen : std::uint8_t { kItem, kGone, kBusy };

  // False if a chunk of the page is reserved or pinned, as far as can be seen with this class
  // locked.
  bool MayEmpty(SlabClass& c, PageIndex page) const LARDER_REQUIRES(c.mutex());
  // What LookAt found out about a chunk of a draining page.
  enum class Next : std::uint8_t { kPageLeft, kIsFree, kIsBusy, kIsUsed };
  // Looks at one chunk, and fills used.item.
  Next LookAt(SlabClass& c, UsedChunk& used) LARDER_EXCLUDES(c.mutex());
  // Moves the item that has the chunk to another page, or evicts it. Returns false if it is in use.
  // Returns true also if the item is gone.
  bool EmptyChunk(SlabClass& c, const UsedChunk& used, Lane& lane)
      LARDER_EXCLUDES(c.mutex(), kBucketLocked);
  // Copies the key of the item, if it still has the chunk.
  Seen ReadKey(SlabClass& c, const UsedChunk& used, SeenKey& key) const LARDER_EXCLUDES(c.mutex());
  // Counts an item that is removed: kMoved if it was alive, else the cause of its death.
  void CountRemoved(const Item& item, RemovalReason why);
  // MoveItem and MovePiece copy an item, or a piece of it, to another page of the class. They
  // return false, and change nothing, if no chunk was found or the chain of pieces is too long.
  // MovePiece also returns true if the chunk is no longer a piece of the item. REQUIRES: `guard`
  // holds the item's bucket, and the item is not pinned.
  bool MoveItem(SlabClass& c, const UsedChunk& used, Index::Guard& guard, std::uint64_t hash,
                Lane& lane) LARDER_REQUIRES(kBucketLocked);
  bool MovePiece(SlabClass& c, const UsedChunk& used, const Index::Guard& guard, Lane& lane)
      LARDER_REQUIRES(kBucketLocked);
  // True if the chunk still is a piece of the item.
  bool IsPieceOf(SlabClass& c, const UsedChunk& used) const LARDER_EXCLUDES(c.mutex());
  // Takes a chunk of the class in another page: a free one, or that of the next item to be evicted.
  // So the class loses its coldest items with the page, not those that happen to lie in it. Returns
  // kNoItem if there is none.
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
  // The page that Choose looked at last.
  PageIndex cursor_ = 0;
};

}  // namespace larder::slab
