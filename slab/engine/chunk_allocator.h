// ChunkAllocator: finds chunks for new items, free ones or those of items that are evicted.
#pragma once

#include <cstdint>
#include <string_view>

#include "slab/classes/slab_classes.h"
#include "slab/engine/class_opening.h"
#include "slab/engine/liveness.h"
#include "slab/engine/magazines.h"
#include "slab/engine/pause.h"
#include "slab/engine/prefix_counts.h"
#include "slab/engine/unlinker.h"
#include "slab/ids.h"
#include "slab/index/index.h"
#include "slab/item/hash.h"
#include "slab/lane.h"

namespace larder::slab {

// What an allocation has to mind: a bucket that the caller has locked, an item in it that must not
// be evicted, and whether anything is to be evicted.
struct Held {
  // nullptr: no bucket is locked; then `kept` is kNoItem.
  const Index::Guard* guard = nullptr;
  // kNoItem: any item may be evicted.
  ItemRef kept = kNoItem;
  // True: nothing is evicted while another class has a page to spare. For callers that then get
  // that page with PageMover::TakeSpare.
  bool prefers_page = false;
  // The row of the prefix that stores: what it has is not kept from itself.
  PrefixRow storer = kOthers;
};

// ChunkAllocator gives out chunks of a class: free chunks of the class, chunks of a new page, and
// those of evicted items. A lane that stores new items takes several at a time, into its Magazine.
//
// Threads:    any thread. While a class is locked, buckets are only tried: an item whose bucket is
//             locked by another thread is passed over.
// Owns:       nothing; its parts must outlive it.
class ChunkAllocator {
 public:
  // The parts of the cache that it uses.
  struct Parts {
    const SlabClasses& classes;
    const ClassOpening& opening;
    Index& index;
    const Magazines& magazines;
    const Liveness& liveness;
    Unlinker& unlinker;
    const PrefixCounts& prefixes;
    const Pause& pause;
    KeyHasher hash;
    // See ChunkAllocator::evicts().
    bool evicts;
  };
  explicit ChunkAllocator(const Parts& parts)
      : classes_(parts.classes),
        opening_(parts.opening),
        index_(parts.index),
        magazines_(parts.magazines),
        liveness_(parts.liveness),
        unlinker_(parts.unlinker),
        prefixes_(parts.prefixes),
        pause_(parts.pause),
        hash_(parts.hash),
        evicts_(parts.evicts) {}

  // False: eviction is off, and a class without a free chunk gets none.
  bool evicts() const { return evicts_; }

  // Held::storer for a store of this key.
  PrefixRow StorerOf(std::string_view key) const noexcept {
    if (prefixes_.shares().any()) [[unlikely]]
      return prefixes_.table().Find(key);
    return kOthers;
  }

  // True if half of the items of the class or more are of prefixes at their floors, as a sample
  // says.
  bool IsKept(SlabClass& c) const LARDER_REQUIRES(c.mutex());

  // These three return a chunk of class `c`, which then belongs to the caller, or kNoItem if none
  // can be found. That is also so where ClassOpening is in force and the class has no page. Chunks
  // that an eviction frees besides, such as continuations, are added to `free_later`.

  // Takes a free chunk, or evicts. The use of the chunk is kOwned.
  [[nodiscard]] ItemRef Allocate(SlabClass& c, const Held& held, Lane& lane, FreeLater& free_later)
      LARDER_REQUIRES(c.mutex());
  // Evicts an item and takes its chunk, whose use is kOwned. Fails if none of the first candidates
  // can be evicted. REQUIRES: evicts().
  [[nodiscard]] ItemRef Evict(SlabClass& c, const Held& held, Lane& lane, FreeLater& free_later)
      LARDER_REQUIRES(c.mutex());
  // Takes a chunk for a new item from the lane's magazine, which is refilled if it is empty. The
  // use of the chunk is kStocked. REQUIRES: `held.guard` holds the bucket of the new item.
  [[nodiscard]] ItemRef TakeStocked(SlabClass& c, const Held& held, Lane& lane,
                                    FreeLater& free_later) LARDER_EXCLUDES(c.mutex());

 private:
  // The slots of a magazine with items that are to be evicted: from `begin` up to but without
  // `end`. The slots before them have free chunks.
  struct Leaving {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    // A bit for each slot whose chunk lies in a page that is being emptied.
    std::uint32_t draining = 0;
  };

  // Whether room is made by eviction, as far as `held` has a say.
  bool MayEvict(const Held& held) const {
    return evicts_ && !(held.prefers_page && classes_.spare_pages().any());
  }
  // What a search for one victim, or for those of a batch, may still do for the shares of prefixes:
  // looks for items above a ceiling, and candidates at a floor that are put back.
  struct ShareSearch {
    std::uint32_t looks = 0;
    std::uint32_t spares = 0;
  };
  // The item to consider next for eviction: that of the queue, unless prefixes have shares.
  EvictionQueue::Candidate NextCandidate(SlabClass& c, const Held& held, ShareSearch& search)
      LARDER_REQUIRES(c.mutex()) {
    if (prefixes_.shares().any()) [[unlikely]]
      return NextByShares(c, held, search);
    return c.queue().Next();
  }
  [[gnu::noinline]] EvictionQueue::Candidate NextByShares(SlabClass& c, const Held& held,
                                                          ShareSearch& search)
      LARDER_REQUIRES(c.mutex());
  // Where the item's prefix stands, if prefixes have shares. REQUIRES: the key can be read.
  ShareStanding StandingOf(const Item& item) const {
    if (!prefixes_.shares().any()) [[likely]]
      return ShareStanding::kWithin;
    return prefixes_.shares().StandingOf(prefixes_.table().Find(item.key()));
  }
  // Takes a free chunk of the class, or the first one of a page that no class has. A class without
  // a page gets none here while ClassOpening is in force.
  [[nodiscard]] ItemRef TakeFree(SlabClass& c) LARDER_REQUIRES(c.mutex());
  // Takes a free chunk, or evicts, without the chunks in magazines.
  [[nodiscard]] ItemRef AllocateOrEvict(SlabClass& c, const Held& held, Lane& lane,
                                        FreeLater& free_later) LARDER_REQUIRES(c.mutex());
  // Fills a lane's magazine when it is empty.
  void Refill(SlabClass& c, Magazine& magazine, const Held& held, Lane& lane, FreeLater& free_later)
      LARDER_EXCLUDES(c.mutex());
  // The first step of Refill, with the class locked.
  Leaving TakeBatch(SlabClass& c, Magazine& magazine, const Held& held) LARDER_EXCLUDES(c.mutex());
  // The second step of Refill, for one slot: removes the item from the cache and returns its chunk.
  // Returns kNoItem if the item stays or is no longer in the slot.
  ItemRef Release(SlabClass& c, Magazine& magazine, std::uint32_t slot, const Index::Guard& held,
                  Lane& lane, FreeLater& free_later);

  const SlabClasses& classes_;
  const ClassOpening& opening_;
  Index& index_;
  const Magazines& magazines_;
  const Liveness& liveness_;
  Unlinker& unlinker_;
  const PrefixCounts& prefixes_;
  const Pause& pause_;
  const KeyHasher hash_;
  const bool evicts_;
};

}  // namespace larder::slab
