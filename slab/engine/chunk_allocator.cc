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
// For the shares of prefixes, a search for one victim looks at so many items, and puts so many
// back; one for a batch does for each of its chunks. A floor needs more, because the items of a
// prefix often lie side by side.
constexpr std::uint32_t kShareLooksMax = 64;
constexpr std::uint32_t kShareSparesMax = 256;
constexpr std::uint32_t kShareLooksByChunk = 16;
constexpr std::uint32_t kShareSparesByChunk = 32;
// Items that IsKept() looks at.
constexpr int kKeptLooks = 16;
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

inline ItemRef ChunkAllocator::TakeFree(SlabClass& c) {
  const bool may_take = c.page_count() != 0 || !opening_.IsInForce();
  return may_take ? c.Allocate() : kNoItem;
}

ItemRef ChunkAllocator::AllocateOrEvict(SlabClass& c, const Held& held, Lane& lane,
                                        FreeLater& free_later) {
  const ItemRef ref = TakeFree(c);
  return ref != kNoItem || !MayEvict(held) ? ref : Evict(c, held, lane, free_later);
}

bool ChunkAllocator::IsKept(SlabClass& c) const {
  if (!prefixes_.shares().any()) return false;
  int looked = 0;
  int kept = 0;
  for (; looked < kKeptLooks; ++looked) {
    const ItemRef ref = c.queue().NextOfRound().ref;
    if (ref == kNoItem) break;
    if (StandingOf(classes_.arena().At(ref)) == ShareStanding::kAtFloor) ++kept;
  }
  return looked != 0 && 2 * kept >= looked;
}

// Only with the class locked: a queued item's key does not change meanwhile.
EvictionQueue::Candidate ChunkAllocator::NextByShares(SlabClass& c, const Held& held,
                                                      ShareSearch& search) {
  const Arena& arena = classes_.arena();
  const PrefixTable& table = prefixes_.table();
  const PrefixShares& shares = prefixes_.shares();
  EvictionQueue& queue = c.queue();
  if (shares.any_above()) {
    for (; search.looks != 0; --search.looks) {
      const EvictionQueue::Candidate candidate = queue.NextOfRound();
      if (candidate.ref == kNoItem) return candidate;
      const PrefixRow row = table.Find(arena.At(candidate.ref).key());
      if (shares.StandingOf(row) == ShareStanding::kAboveCeiling) return candidate;
    }
  }
  for (; search.spares != 0; --search.spares) {
    const EvictionQueue::Candidate candidate = queue.Next();
    if (candidate.ref == kNoItem) return candidate;
    const PrefixRow row = table.Find(arena.At(candidate.ref).key());
    const bool is_kept = row != held.storer && shares.StandingOf(row) == ShareStanding::kAtFloor;
    if (!is_kept) return candidate;
    queue.PutBack(candidate);
  }
  // Perhaps the class has no other items: a store must not fail for that.
  return queue.Next();
}

ItemRef ChunkAllocator::Evict(SlabClass& c, const Held& held, Lane& lane, FreeLater& free_later) {
  LARDER_ASSERT(evicts_);
  LARDER_ASSERT(held.guard != nullptr || held.kept == kNoItem);
  EvictionQueue& queue = c.queue();
  ShareSearch search = {.looks = kShareLooksMax, .spares = kShareSparesMax};
  int busy = 0;
  // Candidates are tried until one can be evicted: its bucket can be locked at once, it is not
  // pinned, and it has not earned to stay.
  for (int looks = 0; looks < kEvictLooksMax; ++looks) {
    EvictionQueue::Candidate candidate = NextCandidate(c, held, search);
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
    // What is above its ceiling has no second chance.
    const bool may_stay =
        looks < kEvictSparesMax && !is_dead && StandingOf(item) != ShareStanding::kAboveCeiling;
    if (may_stay && queue.Spare(candidate)) continue;

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
    const ItemRef ref = TakeFree(c);
    if (ref == kNoItem) break;
    magazine.Stock(leaving.begin, ref, arena.At(ref));
  }
  c.NoteFresh();
  // Then candidates for eviction. Prefetching what their removal will read is the purpose of doing
  // it in two steps.
  const std::uint32_t end = MayEvict(held) ? wanted : leaving.begin;
  ShareSearch search = {.looks = kShareLooksByChunk * wanted,
                        .spares = kShareSparesByChunk * wanted};
  for (leaving.end = leaving.begin; leaving.end < end; ++leaving.end) {
    const EvictionQueue::Candidate candidate = NextCandidate(c, held, search);
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
  // What is above its ceiling has no second chance.
  const bool may_stay = !is_dead && StandingOf(item) != ShareStanding::kAboveCeiling;
  const auto spared =
      may_stay ? c.promotion_rule().IfSpared(item.eviction_state(), ref) : std::nullopt;
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
