#include "slab/engine/usage.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "slab/check.h"

namespace larder::slab {

void Usage::Note(Item& item, ClassId id) noexcept {
  // Under kLru the item moves, otherwise only its eviction state changes.
  LARDER_ASSERT(id == classes_.IdOf(item));
  if (policy() == EvictionPolicy::kLru) [[unlikely]]
    return MoveToFront(item);
  const SlabClass& c = classes_.ById(id);
  const EvictionState state = item.eviction_state();
  if (state == EvictionState::Newcomer()) [[unlikely]]
    c.promotion_rule().CountHit();
  item.set_eviction_state(c.clock().AfterHit(state));
}

void Usage::MoveToFront(Item& item) noexcept {
  // The bucket is locked, so the item stays linked until the class is locked too.
  LARDER_ASSERT(item.is_linked());
  const ItemRef ref = classes_.arena().RefOf(&item);
  SlabClass& c = classes_.Of(ref);
  const MutexLock lock(c.mutex());
  c.queue().MoveToFront(ref);
}

void Usage::SetPolicy(EvictionPolicy policy) {
  // One change at a time, so that all classes end with the same policy. Magazines are emptied
  // because only the segmented policy uses them.
  const MutexLock only_one(policy_mutex_);
  policy_.store(policy, std::memory_order_relaxed);
  classes_.ForEach([&](SlabClass& c) {
    const MutexLock lock(c.mutex());
    magazines_.EmptyAll(c);
    c.queue().set_policy(policy);
  });
}

void Usage::NoteTurn(const Lanes& lanes) {
  std::vector<std::uint64_t> hits(classes_.count() + 1);
  lanes.ForEach([&](const Lane& lane) {
    for (std::size_t id = 1; id < hits.size(); ++id) {
      hits[id] += lane.classes[id].value(ClassStat::kGetHits);
    }
  });
  classes_.ForEach([&](SlabClass& c) {
    const MutexLock lock(c.mutex());
    c.queue().NoteTurn();
    c.queue().NoteHits(hits[c.id()]);
  });
}

void Usage::SetProbationShare(double share) {
  classes_.ForEach([&](SlabClass& c) {
    const MutexLock lock(c.mutex());
    c.queue().SetProbationShare(share);
  });
}

}  // namespace larder::slab
