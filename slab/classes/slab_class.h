// The chunks of one size.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "slab/classes/magazine.h"
#include "slab/classes/page_table.h"
#include "slab/classes/size_ladder.h"
#include "slab/eviction/eviction_queue.h"
#include "slab/item/item.h"
#include "slab/memory/arena.h"
#include "slab/sync/mutex.h"

namespace larder::slab {

// Statistics of a class, for `stats items` and `stats slabs`.
struct ClassStats {
  std::uint64_t evicted = 0;
  std::uint64_t evicted_nonzero = 0;  // Of those, with an expiry set.
  std::uint64_t evicted_unfetched = 0;
  std::uint64_t evicted_for_page = 0;  // Of those, because their page was to leave the class.
  std::uint64_t evicted_age_s = 0;     // Seconds since the last evicted item was used.
  std::uint64_t reclaimed = 0;         // Dead items whose room was used again.
  std::uint64_t expired_unfetched = 0;
  std::uint64_t out_of_memory = 0;
  std::uint64_t crawler_reclaimed = 0;  // Dead items that the sweep freed.
  std::uint64_t crawler_items_checked = 0;

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

// SlabClass hands out chunks of one size from the pages it has, and keeps the queue of its items.
//
//   page   |chunk|chunk| ... |chunk|tail|     tail: less than a chunk, never used
//   chunk  |Item|key|value ...  |slack  |     see slab/item/item.h
//
// Free chunks are kept by page, so a page can be taken away without a search.
//
// Threads:    caller locks mutex(), but for what is constant, and clock(), which is atomic.
// Owns:       the free lists and the queue. Pages belong to the Arena, which must outlive it.
// Invariants: a chunk is free, or owned, or in queue(), or a continuation: Item::use says which.
class SlabClass {
 public:
  SlabClass(ClassId id, std::uint32_t chunk_bytes, Arena& arena, const PageTable& pages)
      : id_(id),
        chunk_bytes_(chunk_bytes),
        chunks_per_page_(static_cast<std::uint32_t>(kPageBytes / chunk_bytes)),
        arena_(arena),
        pages_(pages),
        queue_(arena, clock_) {}

  Mutex& mutex() LARDER_RETURN_CAPABILITY(mutex_) { return mutex_; }
  ClassId id() const { return id_; }
  std::uint32_t chunk_bytes() const { return chunk_bytes_; }
  std::uint32_t chunks_per_page() const { return chunks_per_page_; }

  // For hits, which do not lock the class.
  const ProbationClock& clock() const { return clock_; }
  // For a key that will be inserted soon. Needs no lock.
  void PrefetchGhosts(std::uint64_t hash) const LARDER_NO_ANALYSIS { queue_.PrefetchGhosts(hash); }

  // A chunk with use kOwned and one reference, or kNoItem when neither a free chunk nor a new page
  // is to be had.
  [[nodiscard]] ItemRef Allocate() LARDER_REQUIRES(mutex_);

  // The same, but from the pages that the class has.
  [[nodiscard]] ItemRef AllocateHere() LARDER_REQUIRES(mutex_);

  // How many chunks a lane takes at a time. 1: each by itself, and no magazine is in use.
  std::uint32_t batch() const { return batch_.load(std::memory_order_relaxed); }
  // A magazine that chunks of this class may lie in, for as long as the class lives.
  void AddMagazine(Magazine& magazine) LARDER_REQUIRES(mutex_);
  std::span<Magazine* const> magazines() LARDER_REQUIRES(mutex_) { return magazines_; }

  // REQUIRES: the chunk is of this class and not in the queue.
  void Free(ItemRef ref) LARDER_REQUIRES(mutex_);

  // Stops allocation from a page of this class: it leaves the class as soon as no chunk of it is
  // used, and is the caller's then. True if that was at once.
  bool Drain(PageIndex page) LARDER_REQUIRES(mutex_);
  // Takes Drain back: chunks of the page are handed out again. REQUIRES: the page is draining.
  void Readmit(PageIndex page) LARDER_REQUIRES(mutex_);
  bool is_draining(ItemRef ref) const LARDER_REQUIRES(mutex_) {
    return pages_.at(arena_.PageOf(ref)).is_draining;
  }
  // Hands out chunks of a page that the caller has from the Arena, or drained.
  void Adopt(PageIndex page) LARDER_REQUIRES(mutex_);

  // For a restart: the page is this class's again, with so many chunks used, and free ones listed.
  // REQUIRES: it is in no class.
  void TakeIn(PageIndex page, std::uint32_t carved, std::uint32_t used, ItemRef free_head)
      LARDER_REQUIRES(mutex_);

  EvictionQueue& queue() LARDER_REQUIRES(mutex_) { return queue_; }
  ClassStats& stats() LARDER_REQUIRES(mutex_) { return stats_; }
  std::uint32_t page_count() const LARDER_REQUIRES(mutex_) { return page_count_; }
  std::uint64_t used_chunks() const LARDER_REQUIRES(mutex_) { return used_chunks_; }

  // Tests: walks over the pages, their free chunks and the queue; aborts when they do not agree.
  void CheckInvariants() const LARDER_REQUIRES(mutex_);

 private:
  std::uint32_t CountFree(const Page& page) const LARDER_REQUIRES(mutex_);
  void List(PageIndex page) LARDER_REQUIRES(mutex_);
  void Unlist(PageIndex page) LARDER_REQUIRES(mutex_);
  void CountPages(std::uint32_t pages) LARDER_REQUIRES(mutex_);
  void Leave(PageIndex page) LARDER_REQUIRES(mutex_);
  void ChooseBatch() LARDER_REQUIRES(mutex_);

  const ClassId id_;
  const std::uint32_t chunk_bytes_;
  const std::uint32_t chunks_per_page_;
  Arena& arena_;  // Internally locked; its lock comes after mutex_.
  const PageTable& pages_;
  ProbationClock clock_;                 // Atomic for readers, written under mutex_.
  std::atomic<std::uint32_t> batch_{1};  // Written under mutex_.

  alignas(64) Mutex mutex_;  // Guards all below. Of its own line: hits read what is above.
  EvictionQueue queue_ LARDER_GUARDED_BY(mutex_);
  ClassStats stats_ LARDER_GUARDED_BY(mutex_);
  PageIndex listed_ LARDER_GUARDED_BY(mutex_) = 0;  // First page with room, as number + 1.
  std::uint32_t page_count_ LARDER_GUARDED_BY(mutex_) = 0;
  std::uint64_t used_chunks_ LARDER_GUARDED_BY(mutex_) = 0;
  std::vector<Magazine*> magazines_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::slab
