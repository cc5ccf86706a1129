// LaneObserver: who is told of what a lane removes and moves.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

#include "slab/eviction/removal_records.h"
#include "slab/ids.h"

namespace larder::slab {

// An item at the moment in which it is removed.
//
// Threads: a value. The view of the key is valid during the call only.
struct Removal {
  std::string_view key;
  RemovalReason reason = RemovalReason::kEvicted;
  ClassId class_id = 0;
  std::uint32_t value_bytes = 0;
  // Seconds since the item was last read or written.
  std::uint32_t idle_s = 0;
  // Seconds until it would have expired; -1: it had no expiry.
  std::int64_t ttl_s = -1;
  // A client had read it.
  bool was_fetched = false;
};

// A pass of the sweep for expired items that has ended.
//
// Threads: a value.
struct SweepPass {
  // Chunks that were looked at, and those that were freed.
  std::uint64_t examined = 0;
  std::uint64_t freed = 0;
  // Seconds since it began.
  std::uint32_t elapsed_s = 0;
};

// LaneObserver sees the items that one lane removes, the pages that it moves, and the passes
// that it ends. An item that is replaced by a new value of its key is not removed.
//
// Threads: is_wanted: any thread. The other methods: the thread of the lane, which may hold a
//          bucket and a class: they have to be quick, and may not call the cache.
class LaneObserver {
 public:
  // Whether removals are to be reported at present. Relaxed: the first ones after a
  // change may still be left out, or reported.
  bool is_wanted() const noexcept { return is_wanted_.load(std::memory_order_relaxed); }

  virtual void OnRemoval(const Removal& removal) noexcept = 0;
  // A page was moved from one class to another to bring more hits; 0: the free pages.
  virtual void OnPageMove(ClassId from, ClassId to) noexcept = 0;
  // A pass of the sweep has ended.
  virtual void OnSweepPass(const SweepPass& pass) noexcept = 0;

 protected:
  LaneObserver() = default;
  ~LaneObserver() = default;
  void SetWanted(bool is_wanted) noexcept {
    is_wanted_.store(is_wanted, std::memory_order_relaxed);
  }

 private:
  std::atomic<bool> is_wanted_{false};
};

}  // namespace larder::slab
