#include "slab/engine/chunk_allocator.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>

#include "slab/check.h"

namespace larder::slab {
namespace {

// How far an eviction looks: candidates in all, and how many of them it spares for their hits.
constexpr int kEvictLooksMax = 64;
constexpr int kEvictSparesMax = 32;
// After so many that cannot go now, the other segment is asked.
constexpr int kEvictBusyMax = 16;
// What is prefetched ahead of its use: the overflow bucket of an item that is let go later by so
// many, and so much of a chunk that will be written soon.
constexpr std::uint32_t kOverflowAhead = 4;
constexpr std::uint32_t kLineBytes = 64;
constexpr std::uint32_t kPrefetchedBytesMax = 256;

}  // namespace

ItemRef ChunkAllocator::Allocate(SlabClass& c, const Held& held, Lane& lane,
                                 FreeLater& free_later) {
  const ItemRef ref = AllocateOrEvict(c, held, lane, free_later);
  if (ref != kNoItem || c.magazines().empty()) return ref;
  magazines_.EmptyAll(c);  // Lanes have some in stock.
  return AllocateOrEvict(c, held, lane, free_later);
}

ItemRef ChunkAllocator::AllocateOrEvict(SlabClass& c, const Held& held, Lane& lane,
                                        FreeLater& free_later) {
  const ItemRef ref = c.Allocate();
  return ref != kNoItem || !evicts_ ? ref : Evict(c, held, lane, free_later);
}

ItemRef ChunkAllocator::Evict(SlabClass& c, const Held& held, Lane& lane, FreeLater& free_later) {
  LARDER_ASSERT(evicts_);
  LARDER_ASSERT(held.guard != nullptr || held.kept == kNoItem);
  EvictionQueue& queue = c.queue();
  int busy = 0;
  for (int looks = 0; looks < kEvictLooksMax; ++looks) {
    EvictionQueue::Candidate candidate = queue.Next();
    if (busy > kEvictBusyMax) candidate = queue.Alternative(candidate);
    const ItemRef ref = candidate.ref;
    if (ref == kNoItem) return kNoItem;
    Item& item = classes_.arena().At(ref);
    const std::uint64_t hash = hash_(item.key());
    Index::Guard guard = ref == held.kept ? Index::Guard() : index_.TryLock(hash, held.guard);
    if (!guard || item.refs.load(std::memory_order_acquire) != 1) {
      queue.PutBack(candidate);
      ++busy;
      continue;
    }
    guard.AssertHeld();
    const bool is_dead = liveness_.IsDead(item, lane);
    if (!is_dead && looks < kEvictSparesMax && queue.Spare(candidate)) continue;

    if (is_dead) {
      queue.Remove(ref);
    } else {
      queue.Evict(candidate, hash);
    }
    c.stats().Count(unlinker_.UnlinkReleased(guard, ref, hash, is_dead, lane, free_later));
    // The next victim's lines are fetched while this one's chunk is filled.
    const ItemRef next = queue.Next().ref;
    if (next != kNoItem) __builtin_prefetch(&classes_.arena().At(next), 1);
    return ref;
  }
  return kNoItem;
}

ItemRef ChunkAllocator::TakeStocked(SlabClass& c, const Index::Guard& held, Lane& lane,
                                    FreeLater& free_later) {
  LARDER_ASSERT(static_cast<bool>(held));
  std::unique_ptr<Magazine>& magazine = lane.magazines[c.id()];
  if (magazine == nullptr) [[unlikely]] {
    magazine = std::make_unique<Magazine>();
    const MutexLock lock(c.mutex());
    c.AddMagazine(*magazine);
  }
  const ItemRef ref = magazine->Take();
  if (ref != kNoItem) return ref;
  Refill(c, *magazine, held, lane, free_later);
  const ItemRef refilled = magazine->Take();
  if (refilled == kNoItem) pause_.At(Moment::kNoStock);
  return refilled;
}

// Free chunks, or those of the next items to go: these are only taken out of the queue under the
// lock. Then they are let go one by one, with the cache misses of index and removal records, and
// the queue is told what that means for it the next time.
void ChunkAllocator::Refill(SlabClass& c, Magazine& magazine, const Index::Guard& held, Lane& lane,
                            FreeLater& free_later) {
  const Leaving leaving = TakeBatch(c, magazine, held);
  pause_.At(Moment::kBatchTaken);
  for (std::uint32_t slot = leaving.begin; slot < leaving.end; ++slot) {
    if (slot + kOverflowAhead < leaving.end) {
      index_.PrefetchOverflow(magazine.entry(slot + kOverflowAhead).hash);
    }
    const ItemRef ref = Release(magazine, slot, held, lane, free_later);
    if (ref == kNoItem) continue;
    if ((leaving.draining >> slot & 1) != 0) {
      const MutexLock lock(c.mutex());
      c.Free(ref);
      continue;
    }
    Item& chunk = classes_.arena().At(ref);
    magazine.Stock(slot, ref, chunk);
    for (std::uint32_t at = kLineBytes; at < std::min(c.chunk_bytes(), kPrefetchedBytesMax);
         at += kLineBytes) {
      __builtin_prefetch(reinterpret_cast<const std::byte*>(&chunk) + at, 1);
    }
  }
  magazine.PublishReclaimed();
}

ChunkAllocator::Leaving ChunkAllocator::TakeBatch(SlabClass& c, Magazine& magazine,
                                                  const Index::Guard& held) {
  const Arena& arena = classes_.arena();
  const MutexLock lock(c.mutex());
  magazines_.Empty(c, magazine, &held);
  magazine.Forget();
  EvictionQueue& queue = c.queue();
  const std::uint32_t wanted = c.batch();
  Leaving leaving;
  for (; leaving.begin < wanted; ++leaving.begin) {
    const ItemRef ref = c.Allocate();
    if (ref == kNoItem) break;
    magazine.Stock(leaving.begin, ref, arena.At(ref));
  }
  for (leaving.end = leaving.begin; evicts_ && leaving.end < wanted; ++leaving.end) {
    const EvictionQueue::Candidate candidate = queue.Next();
    if (candidate.ref == kNoItem) break;
    Item& item = arena.At(candidate.ref);
    const std::uint64_t hash = hash_(item.key());
    index_.PrefetchBucket(hash);
    c.PrefetchGhosts(hash);
    unlinker_.PrefetchRecord(hash);
    if (c.is_draining(candidate.ref)) leaving.draining |= 1U << leaving.end;
    queue.Release(candidate);
    magazine.Release(leaving.end, candidate.ref, item, hash, candidate.segment);
  }
  if (const ItemRef next = queue.Next().ref; next != kNoItem) {
    __builtin_prefetch(&arena.At(next), 1);
  }
  return leaving;
}

ItemRef ChunkAllocator::Release(Magazine& magazine, std::uint32_t slot, const Index::Guard& held,
                                Lane& lane, FreeLater& free_later) {
  const std::uint64_t hash = magazine.entry(slot).hash;
  Index::Guard guard = index_.TryLock(hash, &held);
  if (!guard) return kNoItem;
  guard.AssertHeld();
  // With the bucket locked nobody else removes it, or moves it to another chunk.
  const ItemRef ref = magazine.TakeBack(slot);
  if (ref == kNoItem) return kNoItem;
  Item& item = classes_.arena().At(ref);
  const bool is_dead = liveness_.IsDead(item, lane);
  const auto spared = is_dead ? std::nullopt : EvictionQueue::IfSpared(item.eviction_state());
  if (spared) {
    pause_.At(Moment::kSpared);
    item.set_eviction_state(*spared);
    magazine.Return(slot, ref, QueueEntry::kSpared);
    return kNoItem;
  }
  if (item.refs.load(std::memory_order_acquire) != 1) {
    magazine.Return(slot, ref, QueueEntry::kPutBack);
    return kNoItem;
  }
  magazine.AddReclaimed(unlinker_.UnlinkReleased(guard, ref, hash, is_dead, lane, free_later));
  item.set_use(ChunkUse::kOwned);
  return ref;
}

}  // namespace larder::slab
