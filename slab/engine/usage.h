// Usage: what the use of an item changes for its eviction.
#pragma once

#include <atomic>
#include <cstdint>

#include "slab/classes/slab_classes.h"
#include "slab/engine/lanes.h"
#include "slab/engine/magazines.h"
#include "slab/eviction/eviction_queue.h"
#include "slab/ids.h"
#include "slab/item/item.h"
#include "slab/lane.h"
#include "slab/sync/mutex.h"

namespace larder::slab {

// Usage notes that items were used, as the eviction policy in force requires: in the eviction state
// of the item, or, in the strict order of last use, by moving the item to the front of its class.
//
// Threads:    any thread. Functions with an Item: caller locks the item's bucket, and no class.
// Owns:       the policy.
class Usage {
 public:
  // Sets the policy of all classes.
  Usage(const SlabClasses& classes, const Magazines& magazines, EvictionPolicy policy)
      : classes_(classes), magazines_(magazines), policy_(policy) {
    SetPolicy(policy);
  }

  EvictionPolicy policy() const { return policy_.load(std::memory_order_relaxed); }
  // Changes the policy for what happens from now on; no item moves.
  void SetPolicy(EvictionPolicy policy) LARDER_EXCLUDES(policy_mutex_);
  // Sets the share of the items of every class that may be on probation. It adapts from there.
  void SetProbationShare(double share);

  // Lets the clocks of classes go on in which little is stored. Call it 20 times a second.
  void NoteTurn(const Lanes& lanes);

  // Counts a hit: a client has read the item, which is of class `id`.
  void MarkAccess(Item& item, ClassId id, const Lane& lane) noexcept;
  // Counts a use that reads nothing: it protects the item from eviction, but does not set
  // was_fetched().
  void MarkUse(Item& item, const Lane& lane) noexcept {
    Note(item, classes_.IdOf(item));
    item.set_last_access(lane.now_s);
  }
  // Counts a use for eviction, if it is to count. Not inlined: inlined, it costs every get
  // registers.
  [[gnu::noinline]] void Note(Item& item, ClassId id) noexcept;
  // Moves the item to the front of its class: the order of last use.
  [[gnu::noinline]] void MoveToFront(Item& item) noexcept;

 private:
  const SlabClasses& classes_;
  const Magazines& magazines_;
  // The policy that the classes have, too. Changed under policy_mutex_.
  std::atomic<EvictionPolicy> policy_;
  // Held by the thread that changes the policy. Locked before every class.
  Mutex policy_mutex_;
};

inline void Usage::MarkAccess(Item& item, ClassId id, const Lane& lane) noexcept {
  LARDER_ASSERT(id == classes_.IdOf(item));
  // If the item has all hits that can count, a hit changes nothing in it.
  constexpr std::uint32_t kHits = Item::kEvictionStateMask | Item::kWasFetched;
  constexpr auto saturated = [](EvictionState state) {
    return state.code() << Item::kEvictionStateShift | Item::kWasFetched;
  };
  const std::uint32_t hits = item.size_and_state & kHits;
  if (hits != saturated(EvictionState::Main(EvictionState::kHitsMax)) &&
      hits != saturated(EvictionState::HitTwiceOnProbation())) {
    item.set_fetched();
    Note(item, id);
  }
  // The time of access is written once a second only: a cache line that is only read stays shared
  // between cores. Comparing all 24 bits costs 23 instructions of a get; with 16, an access 18
  // hours after another, to the second, goes unnoticed.
  if (item.last_access_low != static_cast<std::uint16_t>(lane.now_s)) {
    item.set_last_access(lane.now_s);
  }
}

}  // namespace larder::slab
