#include "slab/engine/chunk_allocator.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>

#include "slab/check.h"

namespace larder::slab {
namespace {

// An eviction looks at no more than this many candidates, and spares no more than this many for
// their hits.
constexpr int kEvictLooksMax = 64;
constexpr int kEvictSparesMax = 32;
// After so many candidates that cannot be evicted now, those of the other segment are tried.
constexpr int kEvictBusyMax = 16;
// A refill prefetches the overflow bucket of the item that is evicted this many items later.
constexpr std::uint32_t kOverflowAhead = 4;

}  // namespace

ItemRef ChunkAllocator::Allocate(SlabClass& c, const Held& held, Lane& lane,
                                 FreeLater& free_later) {
  const ItemRef ref = AllocateOrEvict(c, held, lane, free_later);
  if (ref != kNoItem || c.magazines().empty()) return ref;
  // The magazines of lanes may hold free chunks. With them back in the class, a second try may
  // succeed.
  magazines_.EmptyAll(c);
  return AllocateOrEvict(c, held, lane, free_later);
}

ItemRef ChunkAllocator::AllocateOrEvict(SlabClass& c, const Held& held, Lane& lane,
                                        FreeLater& free_later) {
  const ItemRef ref = c.Allocate();
  return ref != kNoItem || !MayEvict(held) ? ref : Evict(c, held, lane, free_later);
}

ItemRef ChunkAllocator::Evict(SlabClass& c, const Held& held, Lane& lane, FreeLater& free_later) {
  LARDER_ASSERT(evicts_);
  LARDER_ASSERT(held.guard != nullptr || held.kept == kNoItem);
  EvictionQueue& queue = c.queue();
  int busy = 0;
  // Candidates are tried until one can be evicted: its bucket can be locked at once, it is not
  // pinned, and it has not earned to stay.
  for (int looks = 0; looks < kEvictLooksMax; ++looks) {
    EvictionQueue::Candidate candidate = queue.Next();
    if (busy > kEvictBusyMax) candidate = queue.Alternative(candidate);
    const ItemRef ref = candidate.ref;
    if (ref == kNoItem) return kNoItem;
    Item& item = classes_.arena().At(ref);
    const std::uint64_t hash = hash_(item.key());
    // The item that must stay is treated as busy.
    Index::Guard guard = ref == held.kept ? Index::Guard() : index_.TryLock(hash, held.guard);
    if (!guard || item.refs.load(std::memory_order_acquire) != 1) {
      queue.PutBack(candidate);
      ++busy;
      continue;
    }
    guard.AssertHeld();
    const bool is_dead = liveness_.IsDead(item, lane);
    if (!is_dead && looks < kEvictSparesMax && queue.Spare(candidate)) continue;

    // A dead item leaves no ghost: in a larger cache it would be dead too.
    if (is_dead) {
      queue.Remove(ref);
    } else {
      queue.Evict(candidate, hash);
    }
    const RemovalReason why =
        is_dead ? liveness_.CauseOfDeath(item, lane) : RemovalReason::kEvicted;
    c.stats().Count(unlinker_.UnlinkDequeued(guard, ref, hash, why, lane));
    free_later.AddContinuationsOf(item);
    // Prefetches the next candidate while the chunk of this one is filled.
    const ItemRef next = queue.Next().ref;
    if (next != kNoItem) __builtin_prefetch(&classes_.arena().At(next), 1);
    return ref;
  }
  return kNoItem;
}

ItemRef ChunkAllocator::TakeStocked(SlabClass& c, const Held& held, Lane& lane,
                                    FreeLater& free_later) {
  LARDER_ASSERT(held.guard != nullptr && static_cast<bool>(*held.guard));
  std::unique_ptr<Magazine>& magazine = lane.magazines[c.id()];
  // The first store of this lane into the class: make a magazine, and register it with the class.
  if (magazine == nullptr) [[unlikely]] {
    magazine = std::make_unique<Magazine>();
    const MutexLock lock(c.mutex());
    c.AddMagazine(*magazine);
  }
  const ItemRef ref = magazine->Take();
  if (ref != kNoItem) return ref;
  Refill(c, *magazine, held, lane, free_later);
  const ItemRef refilled = magazine->Take();
  // Another thread has emptied the magazine, or every item of the batch stays. The caller takes a
  // chunk without a magazine then.
  if (refilled == kNoItem) pause_.At(Moment::kNoStock);
  return refilled;
}

// Fills the lane's magazine with free chunks, or with those of the items that are the next to be
// evicted. These are only taken out of the queue while the class is locked. They are removed one by
// one afterwards, when the class is unlocked, because that means cache misses in the index and in
// the removal records. What the eviction means for the queue is published in the magazine, and
// counted when the class is locked the next time.
void ChunkAllocator::Refill(SlabClass& c, Magazine& magazine, const Held& held, Lane& lane,
                            FreeLater& free_later) {
  const Leaving leaving = TakeBatch(c, magazine, held);
  pause_.At(Moment::kBatchTaken);
  for (std::uint32_t slot = leaving.begin; slot < leaving.end; ++slot) {
    if (slot + kOverflowAhead < leaving.end) {
      index_.PrefetchOverflow(magazine.entry(slot + kOverflowAhead).hash);
    }
    const ItemRef ref = Release(c, magazine, slot, *held.guard, lane, free_later);
    if (ref == kNoItem) continue;
    // A page that is being emptied gets its chunk back.
    if ((leaving.draining >> slot & 1) != 0) {
      const MutexLock lock(c.mutex());
      c.Free(ref);
      continue;
    }
    // The chunk will be written soon. Its header was read just now, the lines behind it were not.
    Item& chunk = classes_.arena().At(ref);
    magazine.Stock(slot, ref, chunk);
    c.PrefetchChunk(chunk);
  }
  magazine.PublishReclaimed();
}

ChunkAllocator::Leaving ChunkAllocator::TakeBatch(SlabClass& c, Magazine& magazine,
                                                  const Held& held) {
  const Arena& arena = classes_.arena();
  c.PrefetchFresh();
  // What the lane has stored since the last refill is queued first.
  const MutexLock lock(c.mutex());
  magazines_.Empty(c, magazine, held.guard);
  magazine.Forget();
  EvictionQueue& queue = c.queue();
  const std::uint32_t wanted = c.batch();
  Leaving leaving;
  // Free chunks first.
  for (; leaving.begin < wanted; ++leaving.begin) {
    const ItemRef ref = c.Allocate();
    if (ref == kNoItem) break;
    magazine.Stock(leaving.begin, ref, arena.At(ref));
  }
  c.NoteFresh();
  // Then candidates for eviction. Prefetching what their removal will read is the purpose of doing
  // it in two steps.
  const std::uint32_t end = MayEvict(held) ? wanted : leaving.begin;
  for (leaving.end = leaving.begin; leaving.end < end; ++leaving.end) {
    const EvictionQueue::Candidate candidate = queue.Next();
    if (candidate.ref == kNoItem) break;
    Item& item = arena.At(candidate.ref);
    const std::uint64_t hash = hash_(item.key());
    index_.PrefetchBucket(hash);
    c.PrefetchGhosts(hash);
    unlinker_.PrefetchRecord(hash);
    if (c.is_draining(candidate.ref)) leaving.draining |= 1U << leaving.end;
    queue.TakeCandidate(candidate);
    magazine.PutLeaving(leaving.end, candidate.ref, item, hash, candidate.segment);
  }
  if (const ItemRef next = queue.Next().ref; next != kNoItem) {
    __builtin_prefetch(&arena.At(next), 1);
  }
  return leaving;
}

ItemRef ChunkAllocator::Release(SlabClass& c, Magazine& magazine, std::uint32_t slot,
                                const Index::Guard& held, Lane& lane, FreeLater& free_later) {
  // If the bucket is locked by another thread, the item stays in the slot; it is queued again when
  // the magazine is emptied.
  const std::uint64_t hash = magazine.entry(slot).hash;
  Index::Guard guard = index_.TryLock(hash, &held);
  if (!guard) return kNoItem;
  guard.AssertHeld();
  // While its bucket is locked, no other thread removes the item or moves it to another chunk.
  const ItemRef ref = magazine.TakeBack(slot);
  if (ref == kNoItem) return kNoItem;
  Item& item = classes_.arena().At(ref);
  const bool is_dead = liveness_.IsDead(item, lane);
  const auto spared =
      is_dead ? std::nullopt : c.promotion_rule().IfSpared(item.eviction_state(), ref);
  if (spared) {
    pause_.At(Moment::kSpared);
    item.set_eviction_state(*spared);
    magazine.Return(slot, ref, QueueEntry::kSpared);
    return kNoItem;
  }
  // Pinned: it stays for now.
  if (item.refs.load(std::memory_order_acquire) != 1) {
    magazine.Return(slot, ref, QueueEntry::kPutBack);
    return kNoItem;
  }
  const RemovalReason why = is_dead ? liveness_.CauseOfDeath(item, lane) : RemovalReason::kEvicted;
  magazine.AddReclaimed(unlinker_.UnlinkDequeued(guard, ref, hash, why, lane));
  free_later.AddContinuationsOf(item);
  item.set_use(ChunkUse::kOwned);
  return ref;
}

}  // namespace larder::slab
