// What a use of an item changes for its eviction.
#pragma once

#include <atomic>
#include <cstdint>

#include "slab/classes/slab_classes.h"
#include "slab/engine/magazines.h"
#include "slab/eviction/eviction_queue.h"
#include "slab/ids.h"
#include "slab/item/item.h"
#include "slab/lane.h"
#include "slab/sync/mutex.h"

namespace larder::slab {

// Usage notes that items were used, as the eviction policy in force wants it: in a byte of the
// item, or, in the strict order of last use, by moving it to the front of its class.
//
// Threads: any; what takes an item: caller locks its bucket, and no class.
// Owns:    the policy.
class Usage {
 public:
  Usage(const SlabClasses& classes, const Magazines& magazines, EvictionPolicy policy)
      : classes_(classes), magazines_(magazines), policy_(policy) {
    SetPolicy(policy);
  }

  EvictionPolicy policy() const { return policy_.load(std::memory_order_relaxed); }
  // Holds for what happens from now on; no item moves.
  void SetPolicy(EvictionPolicy policy) LARDER_EXCLUDES(policy_mutex_);
  // Of the items of every class, those that may be on probation; adapts itself from there.
  void SetProbationShare(double share);

  // A hit: the item, of class `id`, was read.
  void MarkAccess(Item& item, ClassId id, const Lane& lane) noexcept;
  // The same for what reads nothing: it spares the item from eviction, but was_fetched() stays.
  void MarkUse(Item& item, const Lane& lane) noexcept {
    Note(item, classes_.IdOf(item));
    item.set_last_access(lane.now_s);
  }
  // A use that may count. Apart: inlined, it costs every get registers.
  [[gnu::noinline]] void Note(Item& item, ClassId id) noexcept;
  // The order of last use: the item was used.
  [[gnu::noinline]] void MoveToFront(Item& item) noexcept;

 private:
  const SlabClasses& classes_;
  const Magazines& magazines_;
  std::atomic<EvictionPolicy> policy_;  // As the classes have it; changed under policy_mutex_.
  Mutex policy_mutex_;                  // Held by the one who changes it; before every class.
};

inline void Usage::MarkAccess(Item& item, ClassId id, const Lane& lane) noexcept {
  LARDER_ASSERT(id == classes_.IdOf(item));
  // A hit changes nothing more in an item that has all its hits.
  constexpr std::uint32_t kHits = Item::kEvictionStateMask | Item::kWasFetched;
  constexpr auto saturated = [](EvictionState state) {
    return state.code() << Item::kEvictionStateShift | Item::kWasFetched;
  };
  const std::uint32_t hits = item.size_and_state & kHits;
  if (hits != saturated(EvictionState::Main(EvictionState::kHitsMax)) &&
      hits != saturated(EvictionState::HitOnProbation())) {
    item.set_fetched();
    Note(item, id);
  }
  // Once a second: a line that is only read stays shared between cores. Comparing all 24 bits costs
  // 23 instructions of a get; with 16, an access 18 hours after another, to the second, goes
  // unnoticed.
  if (item.last_access_low != static_cast<std::uint16_t>(lane.now_s)) {
    item.set_last_access(lane.now_s);
  }
}

}  // namespace larder::slab
