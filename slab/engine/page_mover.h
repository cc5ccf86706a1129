// PageMover: moves pages from one slab class to another, and back to the system.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "slab/classes/page_balancer.h"
#include "slab/classes/slab_classes.h"
#include "slab/engine/chunk_allocator.h"
#include "slab/engine/lanes.h"
#include "slab/engine/page_evacuator.h"
#include "slab/engine/pause.h"
#include "slab/ids.h"
#include "slab/lane.h"
#include "slab/policies.h"
#include "slab/sync/counter.h"
#include "slab/sync/mutex.h"

namespace larder::slab {

// The result of PageMover::Reassign.
enum class ReassignStatus : std::uint8_t {
  // The page will be moved.
  kStarted,
  // The last request is still in progress.
  kBusy,
  // There is no such class.
  kBadClass,
  // The class has no page to give away, or there is no page that no class has.
  kNoSpare,
  // Both classes are the same.
  kSame,
};

// Counts of what moving pages has done since the start; see PageMoveCounters.
struct PageMoveStats {
  std::uint64_t moved_items = 0;
  std::uint64_t moved_pieces = 0;
  std::uint64_t dropped_items = 0;
  std::uint64_t busy_pages = 0;
  // A plan or a request is in progress.
  bool is_running = false;
};

// PageMover moves pages to where they are needed: to a class that has no free chunk, from one that
// can spare them; to a class that has nothing to evict; to a class that would have more hits with
// the page (see PageBalancer); where an operator asked for it; or back to the system because the
// memory limit was lowered.
//
// Threads:    internally locked: one page moves at a time. Its mutex is locked before every other
//             lock, so callers have no bucket and no class locked.
// Owns:       the plan in progress, and the balancer's history.
class PageMover {
 public:
  // The parts of the cache that it uses.
  struct Parts {
    const SlabClasses& classes;
    const Lanes& lanes;
    const ChunkAllocator& allocator;
    const Pause& pause;
    PageMoveCounters& counters;
    // It is copied.
    const PageEvacuator& evacuator;
  };
  PageMover(const Parts& parts, PageMoves moves)
      : classes_(parts.classes),
        lanes_(parts.lanes),
        allocator_(parts.allocator),
        pause_(parts.pause),
        evicts_(parts.allocator.evicts()),
        moves_(moves),
        counters_(parts.counters),
        evacuator_(parts.evacuator) {}

  // Whether pages move for more hits.
  PageMoves moves() const { return moves_.load(std::memory_order_relaxed); }
  void set_moves(PageMoves moves) { moves_.store(moves, std::memory_order_relaxed); }

  // Gives class `needy` a page that another class can do without, even the last one of that class.
  // Returns false if none can be had at the moment. Always false without eviction.
  [[nodiscard]] bool MakeRoom(SlabClass& needy, Lane& lane) LARDER_EXCLUDES(mutex_);
  // Gives class `needy` a page that another class can spare: the items of the page move into free
  // chunks of their class. Nothing is evicted, unless other threads take these chunks meanwhile, or
  // an item is a chain too long to be moved. Returns true if the class has a free chunk now, and
  // false if no page can be had at the moment.
  [[nodiscard]] bool TakeSpare(SlabClass& needy, Lane& lane) LARDER_EXCLUDES(mutex_);
  // See Cache::BalancePages.
  void Balance(Lane& lane) LARDER_EXCLUDES(mutex_);
  // See Cache::Maintain.
  void EnforceLimit(Lane& lane) LARDER_EXCLUDES(mutex_);
  // Asks Balance to move a page of class `from` to class `to`. `from` 0: a page that no class has;
  // -1: a page of the class that misses it least. `to` 0: to no class. The numbers come from
  // clients, so any value is allowed.
  ReassignStatus Reassign(std::int64_t from, std::int64_t to) LARDER_EXCLUDES(mutex_);

  // Pages that were moved from one class to another, or back to the system.
  std::uint64_t pages_moved() const { return pages_moved_.load(std::memory_order_relaxed); }
  PageMoveStats stats() const;

 private:
  // A page is to move from class `from` to class `to`. `from` 0: from any other class that may lose
  // one, even its last. `to` 0: back to the arena.
  struct Move {
    ClassId from = 0;
    ClassId to = 0;
  };

  // Moves one page now. Returns the class that it was taken from; 0: no page can be had at the
  // moment.
  ClassId MovePage(Move move, Lane& lane) LARDER_REQUIRES(mutex_);
  // Moves one page that no operator has asked for: the lane's observer sees it. Returns false if no
  // page can be had at the moment.
  bool MoveByItself(Move move, Lane& lane) LARDER_REQUIRES(mutex_);
  // Carries out what Reassign asked for.
  void MoveWanted(Lane& lane) LARDER_REQUIRES(mutex_);
  // Reports the loads to the balancer, and takes over its plan.
  void ObserveLoads() LARDER_REQUIRES(mutex_);
  // Gives a page that no class has to a class, or to the arena.
  void GiveTo(ClassId to, PageIndex page);
  // True if the class can give a page away.
  bool HasSparePage(SlabClass& c) const LARDER_EXCLUDES(c.mutex());
  // The present load of each class, by id.
  std::vector<ClassLoad> Loads() const;

  const SlabClasses& classes_;
  const Lanes& lanes_;
  const ChunkAllocator& allocator_;
  const Pause& pause_;
  const bool evicts_;

  std::atomic<PageMoves> moves_;
  // Written under mutex_, read by any thread.
  std::atomic<std::uint64_t> pages_moved_{0};
  PageMoveCounters& counters_;
  std::atomic<bool> is_moving_{false};

  // Held by the thread that moves a page. Locked before every other lock.
  Mutex mutex_;
  PageEvacuator evacuator_ LARDER_GUARDED_BY(mutex_);
  PageBalancer balancer_ LARDER_GUARDED_BY(mutex_);
  // What is left to do of the balancer's plan; no pages: there is none.
  PagePlan plan_ LARDER_GUARDED_BY(mutex_);
  // The request of Reassign that is not carried out yet.
  std::optional<Move> wanted_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::slab
