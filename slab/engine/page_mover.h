// How pages go from class to class, and back to the system.
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
#include "slab/sync/counter.h"
#include "slab/sync/mutex.h"

namespace larder::slab {

// When pages move between classes to where they bring more hits; the numbers are those of
// memcached's slab_automove. A class that finds nothing to evict gets a page all the same.
enum class PageMoves : std::uint8_t {
  kOff = 0,
  kOn = 1,
  kEager = 2,  // On less evidence.
};

enum class ReassignStatus : std::uint8_t {
  kStarted,
  kBusy,      // The last one is under way.
  kBadClass,  // There is no such class.
  kNoSpare,   // It has no second page.
  kSame,
};

// What moving pages did so far; see PageMoveCounters.
struct PageMoveStats {
  std::uint64_t moved_items = 0;
  std::uint64_t moved_pieces = 0;
  std::uint64_t dropped_items = 0;
  std::uint64_t busy_pages = 0;
  bool is_running = false;
};

// PageMover moves pages to classes that have use for them: because a class has nothing to evict,
// because another class would have more hits from the page (see PageBalancer), because an operator
// asked for it, or back to the system, because the memory limit was lowered.
//
// Threads: internally locked: one page moves at a time. Its mutex comes before every other lock, so
//          callers have no bucket and no class locked.
// Owns:    what is left to do of a plan.
class PageMover {
 public:
  PageMover(const SlabClasses& classes, const Lanes& lanes, const ChunkAllocator& allocator,
            const Pause& pause, PageMoves moves, PageMoveCounters& counters,
            const PageEvacuator& evacuator)
      : classes_(classes),
        lanes_(lanes),
        pause_(pause),
        evicts_(allocator.evicts()),
        moves_(moves),
        counters_(counters),
        evacuator_(evacuator) {}

  PageMoves moves() const { return moves_.load(std::memory_order_relaxed); }
  void set_moves(PageMoves moves) { moves_.store(moves, std::memory_order_relaxed); }

  // Gives the class a page that another one can do without, even its last. False if none is to be
  // had at the moment.
  [[nodiscard]] bool MakeRoom(SlabClass& needy, Lane& lane) LARDER_EXCLUDES(mutex_);
  // Work for many times a second: moves the pages that Reassign asked for, and those that another
  // class would have more hits from. A bounded number a call.
  void Balance(Lane& lane) LARDER_EXCLUDES(mutex_);
  // Work for once a second: gives pages above the limit back, a bounded number a call.
  void EnforceLimit(Lane& lane) LARDER_EXCLUDES(mutex_);
  // See Cache::Reassign.
  ReassignStatus Reassign(std::int64_t from, std::int64_t to) LARDER_EXCLUDES(mutex_);

  // Pages that went from one class to another, or back to the system.
  std::uint64_t pages_moved() const { return pages_moved_.load(std::memory_order_relaxed); }
  PageMoveStats stats() const;

 private:
  // A page of class `from` becomes one of `to`. 0 for `from`: of any other class that may lose it,
  // even its last. 0 for `to`: it goes back to the arena.
  struct Move {
    ClassId from = 0;
    ClassId to = 0;
  };

  // False if no page can be had at the moment.
  bool MovePage(Move move, Lane& lane) LARDER_REQUIRES(mutex_);
  void MoveWanted(Lane& lane) LARDER_REQUIRES(mutex_);
  void ObserveLoads() LARDER_REQUIRES(mutex_);
  void GiveTo(ClassId to, PageIndex page);
  bool HasSparePage(SlabClass& c) const LARDER_EXCLUDES(c.mutex());
  std::vector<ClassLoad> Loads() const;

  const SlabClasses& classes_;
  const Lanes& lanes_;
  const Pause& pause_;
  const bool evicts_;

  std::atomic<PageMoves> moves_;
  // Written under mutex_, read by anyone.
  std::atomic<std::uint64_t> pages_moved_{0};
  PageMoveCounters& counters_;
  std::atomic<bool> is_moving_{false};

  Mutex mutex_;  // Held by the one who moves a page; before every other lock.
  PageEvacuator evacuator_ LARDER_GUARDED_BY(mutex_);
  PageBalancer balancer_ LARDER_GUARDED_BY(mutex_);
  PagePlan plan_ LARDER_GUARDED_BY(mutex_);               // What is left to do of it.
  std::optional<Move> wanted_ LARDER_GUARDED_BY(mutex_);  // By Reassign.
};

}  // namespace larder::slab
