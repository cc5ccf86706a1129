#include "slab/engine/unlinker.h"

#include <algorithm>

#include "slab/check.h"

namespace larder::slab {

void Unlinker::Unlink(Index::Guard& guard, const LockedItem& item, std::uint64_t hash,
                      RemovalReason why, Lane& lane) {
  const ItemRef ref = item.ref();
  SlabClass& c = classes_.Of(ref);
  // Out of the index and the counts first, then out of the queue, with the class locked.
  Forget(guard, item.slot(), hash, why, lane);
  bool is_last = false;
  {
    const MutexLock lock(c.mutex());
    if (Liveness::IsExpired(*item, lane) && !item->was_fetched()) ++c.stats().expired_unfetched;
    c.queue().Remove(ref);
    is_last = item->DropReference();
    // A chain has chunks of other classes, which cannot be locked with this one.
    if (is_last && !item->is_chained()) {
      c.Free(ref);
      return;
    }
  }
  if (is_last) classes_.Free(ref);
}

Presence Unlinker::UnlinkDead(Index::Guard& guard, const LockedItem& item, Lane& lane) {
  LARDER_ASSERT(liveness_.IsDead(*item, lane));
  const RemovalReason why = liveness_.CauseOfDeath(*item, lane);
  Unlink(guard, item, hash_(item->key()), why, lane);
  if (why == RemovalReason::kExpired) return Presence::kExpired;
  return why == RemovalReason::kFlushed ? Presence::kFlushed : Presence::kDropped;
}

// For the sweep, which has the class locked already.
void Unlinker::UnlinkDeadInClass(SlabClass& c, Index::Guard& guard, HashedRef dead, Lane& lane,
                                 FreeLater& free_later) {
  const LockedItem item(guard.Find(dead.hash, dead.ref), classes_.arena());
  LARDER_CHECK(item);
  LARDER_ASSERT(liveness_.IsDead(*item, lane));
  LARDER_ASSERT(classes_.IdOf(*item) == c.id());
  LARDER_ASSERT(item->refs.load(std::memory_order_relaxed) == 1);
  if (Liveness::IsExpired(*item, lane) && !item->was_fetched()) ++c.stats().expired_unfetched;
  Forget(guard, item.slot(), dead.hash, liveness_.CauseOfDeath(*item, lane), lane);
  c.queue().Remove(dead.ref);
  if (item->is_chained()) {
    free_later.Add(dead.ref, *item);
  } else {
    c.Free(dead.ref);
  }
}

// For evictions: the item has left its queue before, so no class has to be locked.
ReclaimedItem Unlinker::UnlinkDequeued(Index::Guard& guard, ItemRef ref, std::uint64_t hash,
                                       RemovalReason why, Lane& lane) {
  records_.Prefetch(hash);
  const Index::Slot slot = guard.Find(hash, ref);
  LARDER_CHECK(slot);
  const Item& item = classes_.arena().At(ref);
  LARDER_ASSERT(item.refs.load(std::memory_order_relaxed) == 1);
  LARDER_ASSERT(why == RemovalReason::kEvicted || liveness_.IsDead(item, lane));
  Forget(guard, slot, hash, why, lane);
  return {.hash = hash,
          .idle_s = item.idle_s(lane.now_s),
          .state = item.eviction_state(),
          .is_dead = why != RemovalReason::kEvicted,
          .could_expire = item.expiry().is_set(),
          .was_fetched = item.was_fetched()};
}

// What all removals have in common. The item keeps its chunk and its place in the queue.
void Unlinker::Forget(Index::Guard& guard, const Index::Slot& slot, std::uint64_t hash,
                      RemovalReason why, Lane& lane) {
  const Item& item = classes_.arena().At(slot.ref());
  guard.Remove(slot, lane.number);
  // A page move may have to evict.
  const bool is_evicted = why == RemovalReason::kEvicted || why == RemovalReason::kMoved;
  liveness_.CountUnlinked(item, classes_.IdOf(item),
                          is_evicted ? Unlinking::kEvicted : Unlinking::kRemoved, lane);
  --lane.items_unreported;
  Record(hash, why, item, lane);
  if (lane.observer != nullptr && lane.observer->is_wanted()) [[unlikely]]
    Observe(item, why, lane);
}

void Unlinker::Observe(const Item& item, RemovalReason why, const Lane& lane) const noexcept {
  const Expiry expiry = item.expiry();
  lane.observer->OnRemoval({.key = item.key(),
                            .reason = why,
                            .class_id = classes_.IdOf(item),
                            .value_bytes = item.value_bytes(),
                            .idle_s = item.idle_s(lane.now_s),
                            .ttl_s = expiry.is_set() ? expiry.SecondsLeft(lane) : -1,
                            .was_fetched = item.was_fetched()});
}

// The times of the record are those at the end of the item's life, not at its removal.
void Unlinker::Record(std::uint64_t hash, RemovalReason why, const Item& item,
                      const Lane& lane) noexcept {
  RemovalRecord record{.reason = why,
                       .class_id = classes_.IdOf(item),
                       .idle_s = item.idle_s(lane.now_s),
                       .age_s = versions_.AgeOf(item, lane)};
  // A dead item may stay in the cache for a while before it is removed.
  if (why == RemovalReason::kExpired || why == RemovalReason::kFlushed ||
      why == RemovalReason::kDropped) {
    record.ago_s = liveness_.SecondsSinceDeath(item, why, lane);
  }
  LARDER_ASSERT(record.ago_s <= record.age_s);
  record.idle_s -= record.ago_s;
  record.age_s -= record.ago_s;
  records_.Add(hash, record, lane.now_s);
}

}  // namespace larder::slab
