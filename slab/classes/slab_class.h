// SlabClass: the pages and chunks of one size, and the eviction queue of the items in them.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "slab/check.h"
#include "slab/classes/magazine.h"
#include "slab/classes/page_table.h"
#include "slab/classes/size_ladder.h"
#include "slab/classes/spare_pages.h"
#include "slab/eviction/eviction_queue.h"
#include "slab/item/item.h"
#include "slab/memory/arena.h"
#include "slab/sync/mutex.h"

namespace larder::slab {

// Statistics of a class since the start or the last reset, for `stats items` and `stats slabs`.
struct ClassStats {
  // Items that were evicted while they were alive.
  std::uint64_t evicted = 0;
  // Evicted items that had an expiry set.
  std::uint64_t evicted_nonzero = 0;
  // Evicted items that no client had read.
  std::uint64_t evicted_unfetched = 0;
  // Evicted items that had to go because their page was to leave the class.
  std::uint64_t evicted_for_page = 0;
  // Seconds between the last use of the item that was evicted last and its eviction.
  std::uint64_t evicted_age_s = 0;
  // Items that had expired or were flushed when their room was needed.
  std::uint64_t reclaimed = 0;
  // Expired items that no client had read; of items removed to make room, also flushed ones.
  std::uint64_t expired_unfetched = 0;
  // Stores that failed because no chunk could be found.
  std::uint64_t out_of_memory = 0;
  // Expired or flushed items that the sweep freed.
  std::uint64_t crawler_reclaimed = 0;
  // Items that the sweep looked at.
  std::uint64_t crawler_items_checked = 0;

  // Counts an item that was removed to make room.
  void Count(const ReclaimedItem& removal) {
    if (removal.is_dead) {
      ++reclaimed;
      if (!removal.was_fetched) ++expired_unfetched;
    } else {
      ++evicted;
      if (removal.could_expire) ++evicted_nonzero;
      if (!removal.was_fetched) ++evicted_unfetched;
      evicted_age_s = removal.idle_s;
    }
  }
};

// SlabClass hands out chunks of one size from the pages it has, and keeps the eviction queue of the
// items in its chunks.
//
//   page   |chunk|chunk| ... |chunk|tail|     tail: less than a chunk, never used
//   chunk  |Item|key|value ...  |slack  |     see slab/item/item.h
//
// Free chunks are listed page by page, so that a page can be taken away without a search through
// the free chunks of the class.
//
// Threads:    caller locks mutex(). Exceptions: what is constant, and clock() and batch(), which
//             are atomic; PrefetchGhosts needs no lock.
// Owns:       the free lists and the eviction queue. Pages belong to the Arena, which must outlive
//             it.
// Invariants: a chunk is free, owned, in queue(), in a magazine, or a continuation: Item::use()
//             says which. A page is in the list of pages with free chunks if and only if it has one
//             and is not draining.
class SlabClass {
 public:
  // REQUIRES: arena, pages and spare_pages outlive this object; chunk_bytes is a multiple of the
  // arena's unit.
  SlabClass(ClassId id, std::uint32_t chunk_bytes, Arena& arena, const PageTable& pages,
            SparePages& spare_pages)
      : id_(id),
        chunk_bytes_(chunk_bytes),
        chunks_per_page_(static_cast<std::uint32_t>(kPageBytes / chunk_bytes)),
        arena_(arena),
        pages_(pages),
        spare_pages_(spare_pages),
        queue_(arena, clock_) {
    LARDER_ASSERT(chunk_bytes > 0 && chunk_bytes % arena.unit_bytes() == 0);
    LARDER_ASSERT(chunk_bytes <= kPageBytes);
  }

  // All magazines of a class together hold at most one in this many of its chunks.
  static constexpr std::uint64_t kMagazinesShare = 256;

  Mutex& mutex() LARDER_RETURN_CAPABILITY(mutex_) { return mutex_; }
  ClassId id() const { return id_; }
  std::uint32_t chunk_bytes() const { return chunk_bytes_; }
  std::uint32_t chunks_per_page() const { return chunks_per_page_; }

  // The clock of the probation queue, for hits, which do not lock the class.
  const ProbationClock& clock() const { return clock_; }
  // Prefetches the ghost of a key that will be inserted or evicted soon. Needs no lock, because it
  // reads only atomics; so clang's analysis is switched off here.
  void PrefetchGhosts(std::uint64_t hash) const LARDER_NO_ANALYSIS { queue_.PrefetchGhosts(hash); }

  // Which candidates for eviction have earned to stay. The rule is read without a lock, from an
  // atomic; so clang's analysis is switched off here.
  const PromotionRule& promotion_rule() const LARDER_NO_ANALYSIS { return queue_.promotion_rule(); }

  // Takes a chunk, which then belongs to the caller: its use is kOwned and it has one reference.
  // Returns kNoItem if the class has no free chunk and the arena no page; the caller may evict and
  // try again.
  [[nodiscard]] ItemRef Allocate() LARDER_REQUIRES(mutex_);

  // Takes a chunk as Allocate() does, but only from pages that the class has already.
  [[nodiscard]] ItemRef AllocateHere() LARDER_REQUIRES(mutex_);

  // How many chunks a lane takes into its magazine at a time. With 1, no magazine is used: chunks
  // are taken one by one.
  std::uint32_t batch() const { return batch_.load(std::memory_order_relaxed); }
  // Prefetches what will be written first of a chunk. Needs no lock.
  void PrefetchChunk(const Item& chunk) const noexcept;
  // Prefetches a batch of the chunks that are carved next, so that whoever then locks the class
  // holds it for a shorter time. Needs no lock: other threads may take these chunks meanwhile.
  void PrefetchFresh() const noexcept;
  // Notes where the next chunks will be carved, for PrefetchFresh. Call it after a batch.
  void NoteFresh() LARDER_REQUIRES(mutex_);
  // Registers a magazine that may hold chunks of this class. It must live as long as the class.
  void AddMagazine(Magazine& magazine) LARDER_REQUIRES(mutex_);
  // All magazines that were added. Valid while the class stays locked.
  std::span<Magazine* const> magazines() LARDER_REQUIRES(mutex_) { return magazines_; }

  // Returns a chunk to its page. If the page becomes empty, it goes back to the arena, unless the
  // class has no other page with free chunks or the page is draining. REQUIRES: the caller owns the
  // chunk, which is of this class and not linked.
  void Free(ItemRef ref) LARDER_REQUIRES(mutex_);

  // Stops allocation from a page of this class. The page leaves the class as soon as none of its
  // chunks is used, and then belongs to the caller of Drain. Returns true if it has left at once.
  bool Drain(PageIndex page) LARDER_REQUIRES(mutex_);
  // Undoes Drain: chunks of the page are handed out again. REQUIRES: the page is of this class and
  // draining.
  void Readmit(PageIndex page) LARDER_REQUIRES(mutex_);
  // True if the chunk lies in a page that is draining.
  bool is_draining(ItemRef ref) const LARDER_REQUIRES(mutex_) {
    return pages_.at(arena_.PageOf(ref)).is_draining;
  }
  // Adds a page to the class. REQUIRES: the caller owns the page: it has taken it from the arena,
  // or drained it from a class.
  void Adopt(PageIndex page) LARDER_REQUIRES(mutex_);

  // Adds a page with its former content, at a restart: `carved` chunks were handed out once, `used`
  // of them are in use, and the others are linked from `free_head`. REQUIRES: no class has adopted
  // the page; the page table may name this one already.
  void TakeIn(PageIndex page, std::uint32_t carved, std::uint32_t used, ItemRef free_head)
      LARDER_REQUIRES(mutex_);

  EvictionQueue& queue() LARDER_REQUIRES(mutex_) { return queue_; }
  ClassStats& stats() LARDER_REQUIRES(mutex_) { return stats_; }
  // Pages that the class has.
  std::uint32_t page_count() const LARDER_REQUIRES(mutex_) { return page_count_; }
  // Chunks that are not free, those in magazines included.
  std::uint64_t used_chunks() const LARDER_REQUIRES(mutex_) { return used_chunks_; }
  // All chunks of the class's pages.
  std::uint64_t chunk_count() const LARDER_REQUIRES(mutex_) {
    return std::uint64_t{page_count_} * chunks_per_page_;
  }
  // Pages that the free chunks would fill: so many can leave the class, and it loses no item. As
  // many free chunks as magazines hold at most do not count, because they come and go.
  std::uint32_t spare_page_count() const LARDER_REQUIRES(mutex_) {
    const std::uint64_t kept =
        std::min(used_chunks_ / kMagazinesShare, chunk_count() - used_chunks_);
    return static_cast<std::uint32_t>((chunk_count() - used_chunks_ - kept) / chunks_per_page_);
  }
  // True if a page of the class has a free chunk.
  bool has_free_chunk() const LARDER_REQUIRES(mutex_) { return listed_ != 0; }

  // For tests: walks over the pages, their free chunks and the queue, and aborts if they do not
  // agree.
  void CheckInvariants() const LARDER_REQUIRES(mutex_);

 private:
  // The number of chunks in the page's free list.
  std::uint32_t CountFree(const Page& page) const LARDER_REQUIRES(mutex_);
  // Add a page to, and remove it from, the list of pages with free chunks.
  void List(PageIndex page) LARDER_REQUIRES(mutex_);
  void Unlist(PageIndex page) LARDER_REQUIRES(mutex_);
  // Offers a page to other classes while the class has one to spare. Call it when the number of
  // free chunks has changed.
  void UpdateOffer() LARDER_REQUIRES(mutex_) {
    const bool offers =
        used_chunks_ + used_chunks_ / kMagazinesShare + chunks_per_page_ <= chunk_count();
    if (offers != offers_page_) [[unlikely]]
      SetOffer(offers);
  }
  void SetOffer(bool offers) LARDER_REQUIRES(mutex_);
  // Sets the number of pages and all that depends on it.
  void CountPages(std::uint32_t pages) LARDER_REQUIRES(mutex_);
  // Takes an empty page that is not listed out of the class.
  void Leave(PageIndex page) LARDER_REQUIRES(mutex_);
  // Sets batch_ from the size of the class and the number of magazines.
  void ChooseBatch() LARDER_REQUIRES(mutex_);

  const ClassId id_;
  const std::uint32_t chunk_bytes_;
  const std::uint32_t chunks_per_page_;
  // Internally locked; its lock comes after mutex_.
  Arena& arena_;
  const PageTable& pages_;
  SparePages& spare_pages_;
  // Atomic for readers; written under mutex_.
  ProbationClock clock_;
  // Relaxed: a hint. Written under mutex_, read by every store.
  std::atomic<std::uint32_t> batch_{1};

  // The chunk that is carved next; kNoItem: chunks that were freed go first, or there is none.
  // Relaxed: a hint. Written under mutex_. It begins a cache line, because every hit reads the
  // fields above.
  alignas(64) std::atomic<ItemRef> fresh_{kNoItem};
  // Guards all fields below. Those that every batch changes come first, in few cache lines.
  Mutex mutex_;
  // First page with a free chunk, as page number + 1; 0: none.
  PageIndex listed_ LARDER_GUARDED_BY(mutex_) = 0;
  std::uint32_t page_count_ LARDER_GUARDED_BY(mutex_) = 0;
  std::uint64_t used_chunks_ LARDER_GUARDED_BY(mutex_) = 0;
  // The class is among those that spare_pages_ counts.
  bool offers_page_ LARDER_GUARDED_BY(mutex_) = false;
  EvictionQueue queue_ LARDER_GUARDED_BY(mutex_);
  ClassStats stats_ LARDER_GUARDED_BY(mutex_);
  // The magazines of the lanes that store into this class.
  std::vector<Magazine*> magazines_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::slab
