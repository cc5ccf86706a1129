// How the cache makes room by eviction; see slab/cache_pages.cc for pages that change classes.
#include "slab/cache.h"
#include "slab/check.h"

namespace larder::slab {
namespace {

// How far an eviction looks: candidates in all, and how many of them it spares for their hits.
constexpr int kEvictLooksMax = 64;
constexpr int kEvictSparesMax = 32;
// After so many that cannot go now, the other segment is asked.
constexpr int kEvictBusyMax = 16;
constexpr int kMaintainPagesMax = 256;  // 64 MiB given back per call.

}  // namespace

ItemRef Cache::AllocateOrEvict(SlabClass& c, const Index::Guard* held, ItemRef kept, Lane& lane,
                               ItemRef& leftovers) {
  const ItemRef ref = c.Allocate();
  if (ref != kNoItem || !evict_) return ref;
  return Evict(c, held, kept, lane, leftovers);
}

ItemRef Cache::Evict(SlabClass& c, const Index::Guard* held, ItemRef kept, Lane& lane,
                     ItemRef& leftovers) {
  EvictionQueue& queue = c.queue();
  int busy = 0;
  for (int looks = 0; looks < kEvictLooksMax; ++looks) {
    EvictionQueue::Candidate candidate = queue.Next();
    if (busy > kEvictBusyMax) candidate = queue.Alternative(candidate);
    const ItemRef ref = candidate.ref;
    if (ref == kNoItem) return kNoItem;
    Item& item = arena_->At(ref);
    const std::uint64_t hash = Hash(item.key());
    Index::Guard guard = ref == kept ? Index::Guard() : index_->TryLock(hash, held);
    if (!guard || item.refs.load(std::memory_order_acquire) != 1) {
      queue.PutBack(candidate);
      ++busy;
      continue;
    }
    const bool is_dead = IsDead(item, lane);
    if (!is_dead && looks < kEvictSparesMax && queue.Spare(candidate)) continue;

    departures_.Prefetch(hash);
    const Index::Slot slot = guard.Find(hash, ref);
    LARDER_CHECK(slot);
    guard.Remove(slot);
    if (is_dead) {
      queue.Remove(ref);
    } else {
      queue.Evict(candidate, hash);
    }
    CountUnlinked(item, c.id(), lane);
    --lane.items_untold;
    NoteDeparture(hash, is_dead ? CauseOfDeath(item, lane) : DepartureReason::kEvicted, item, lane);
    ClassStats& stats = c.stats();
    if (is_dead) {
      ++stats.reclaimed;
      if (!item.was_fetched()) ++stats.expired_unfetched;
    } else {
      ++stats.evicted;
      if (item.expires_at_s != 0) ++stats.evicted_nonzero;
      if (!item.was_fetched()) ++stats.evicted_unfetched;
      stats.evicted_age_s = item.idle_s(lane.now_s);
    }
    for (ItemRef piece = item.first_continuation(); piece != kNoItem;) {
      const ItemRef next = arena_->At(piece).next;
      arena_->At(piece).next = leftovers;  // Mostly of other classes, which may not be locked now.
      leftovers = piece;
      piece = next;
    }
    // The next victim's lines travel while this one's chunk is filled.
    const ItemRef next = queue.Next().ref;
    if (next != kNoItem) __builtin_prefetch(&arena_->At(next), 1);
    return ref;
  }
  return kNoItem;
}

ItemRef Cache::AllocateChunk(SlabClass& c, ItemRef head, Lane& lane) {
  for (int tries = 0;; ++tries) {
    ItemRef leftovers = kNoItem;
    ItemRef ref = kNoItem;
    {
      const MutexLock lock(c.mutex());
      ref = AllocateOrEvict(c, nullptr, kNoItem, lane, leftovers);
      if (ref != kNoItem && head != kNoItem) {
        arena_->At(ref).use = ChunkUse::kContinuation;
        arena_->At(ref).prev = head;
      }
    }
    FreeList(leftovers);
    if (ref != kNoItem) return ref;
    if (tries >= kMakeRoomTriesMax || !MakeRoom(c, lane)) {
      const MutexLock lock(c.mutex());
      ++c.stats().out_of_memory;
      return kNoItem;
    }
  }
}

bool Cache::SetMemoryLimit(std::uint64_t bytes) {
  const MutexLock lock(limit_mutex_);
  if (!arena_->SetLimit(bytes)) return false;
  departures_.Resize(bytes / 100 * kDeparturesPercent);
  return true;
}

void Cache::Maintain(Lane& lane) {
  const MutexLock mover(mover_mutex_);
  for (int pages = 0; pages < kMaintainPagesMax; ++pages) {
    if (arena_->pages_in_use() <= arena_->limit_pages()) break;
    if (!MovePage({}, lane)) break;
  }
  TellIndex(lane);  // This lane may never store.
}

void Cache::NoteUse(Item& item, ClassId id) noexcept {
  if (eviction_policy() == EvictionPolicy::kLru) [[unlikely]]
    return MoveToFront(item);
  item.set_standing(ClassById(id).clock().AfterHit(item.standing()));
}

void Cache::MoveToFront(Item& item) noexcept {
  const ItemRef ref = arena_->RefOf(&item);
  SlabClass& c = ClassOf(ref);
  const MutexLock lock(c.mutex());
  c.queue().MoveToFront(ref);
}

void Cache::SetEvictionPolicy(EvictionPolicy policy) {
  const MutexLock only_one(mover_mutex_);
  policy_.store(policy, std::memory_order_relaxed);
  for (const auto& c : classes_) {
    const MutexLock lock(c->mutex());
    c->queue().set_policy(policy);
  }
}

void Cache::SetProbationShare(double share) {
  for (const auto& c : classes_) {
    const MutexLock lock(c->mutex());
    c->queue().SetProbationShare(share);
  }
}

}  // namespace larder::slab
