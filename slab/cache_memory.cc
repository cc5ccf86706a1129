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
// What travels ahead of its use: the overflow bucket of an item that is let go later by so many,
// and so much of a chunk that will be written soon.
constexpr std::uint32_t kOverflowAhead = 4;
constexpr std::uint32_t kLineBytes = 64;
constexpr std::uint32_t kPrefetchedBytesMax = 256;
constexpr int kMaintainPagesMax = 256;  // 64 MiB given back per call.

}  // namespace

ItemRef Cache::AllocateOrEvict(SlabClass& c, const Index::Guard* held, ItemRef kept, Lane& lane,
                               ItemRef& leftovers) {
  const auto allocate = [&]() LARDER_REQUIRES(c.mutex()) {
    const ItemRef ref = c.Allocate();
    return ref != kNoItem || !evict_ ? ref : Evict(c, held, kept, lane, leftovers);
  };
  const ItemRef ref = allocate();
  if (ref != kNoItem || c.magazines().empty()) return ref;
  Settle(c);  // Lanes have some in stock.
  return allocate();
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

    if (is_dead) {
      queue.Remove(ref);
    } else {
      queue.Evict(candidate, hash);
    }
    c.stats().Count(DropItem(ref, hash, is_dead, guard, lane, leftovers));
    // The next victim's lines travel while this one's chunk is filled.
    const ItemRef next = queue.Next().ref;
    if (next != kNoItem) __builtin_prefetch(&arena_->At(next), 1);
    return ref;
  }
  return kNoItem;
}

ReclaimedItem Cache::DropItem(ItemRef ref, std::uint64_t hash, bool is_dead, Index::Guard& guard,
                              Lane& lane, ItemRef& leftovers) {
  removal_records_.Prefetch(hash);
  const Item& item = arena_->At(ref);
  const Index::Slot slot = guard.Find(hash, ref);
  LARDER_CHECK(slot);
  guard.Remove(slot);
  CountUnlinked(item, ClassOf(item), lane);
  --lane.items_untold;
  RecordRemoval(hash, is_dead ? CauseOfDeath(item, lane) : RemovalReason::kEvicted, item, lane);
  for (ItemRef piece = item.first_continuation(); piece != kNoItem;) {
    const ItemRef next = arena_->At(piece).next;
    arena_->At(piece).next = leftovers;  // Mostly of other classes, which may not be locked now.
    leftovers = piece;
    piece = next;
  }
  return {.hash = hash,
          .idle_s = item.idle_s(lane.now_s),
          .segment = item.eviction_state().segment(),
          .is_dead = is_dead,
          .could_expire = item.expiry().is_set(),
          .was_fetched = item.was_fetched()};
}

ItemRef Cache::TakeStocked(SlabClass& c, const Index::Guard& held, Lane& lane, ItemRef& leftovers) {
  std::unique_ptr<Magazine>& magazine = lane.magazines[c.id()];
  if (magazine == nullptr) [[unlikely]] {
    magazine = std::make_unique<Magazine>();
    const MutexLock lock(c.mutex());
    c.AddMagazine(*magazine);
  }
  const ItemRef ref = magazine->Take();
  if (ref != kNoItem) return ref;
  Refill(c, *magazine, held, lane, leftovers);
  const ItemRef refilled = magazine->Take();
  if (refilled == kNoItem) Pause(Moment::kNoStock);
  return refilled;
}

// Free chunks, or those of the next items to go: these are only taken out of the queue under the
// lock. Then they are let go one by one, with the cache misses of index and removals, and with
// what that means for the queue told at the next time.
void Cache::Refill(SlabClass& c, Magazine& magazine, const Index::Guard& held, Lane& lane,
                   ItemRef& leftovers) {
  const Leaving leaving = TakeBatch(c, magazine, held);
  Pause(Moment::kBatchTaken);
  for (std::uint32_t slot = leaving.begin; slot < leaving.end; ++slot) {
    if (slot + kOverflowAhead < leaving.end) {
      index_->PrefetchOverflow(magazine.entry(slot + kOverflowAhead).hash);
    }
    const ItemRef ref = LetGo(magazine, slot, held, lane, leftovers);
    if (ref == kNoItem) continue;
    if ((leaving.draining >> slot & 1) != 0) {
      const MutexLock lock(c.mutex());
      c.Free(ref);
      continue;
    }
    Item& chunk = arena_->At(ref);
    magazine.Stock(slot, ref, chunk);
    for (std::uint32_t at = kLineBytes; at < std::min(c.chunk_bytes(), kPrefetchedBytesMax);
         at += kLineBytes) {
      __builtin_prefetch(reinterpret_cast<const std::byte*>(&chunk) + at, 1);
    }
  }
  magazine.PublishReclaimed();
}

Cache::Leaving Cache::TakeBatch(SlabClass& c, Magazine& magazine, const Index::Guard& held) {
  const MutexLock lock(c.mutex());
  Settle(c, magazine, &held);
  magazine.Forget();
  EvictionQueue& queue = c.queue();
  const std::uint32_t wanted = c.batch();
  Leaving leaving;
  for (; leaving.begin < wanted; ++leaving.begin) {
    const ItemRef ref = c.Allocate();
    if (ref == kNoItem) break;
    magazine.Stock(leaving.begin, ref, arena_->At(ref));
  }
  for (leaving.end = leaving.begin; evict_ && leaving.end < wanted; ++leaving.end) {
    const EvictionQueue::Candidate candidate = queue.Next();
    if (candidate.ref == kNoItem) break;
    Item& item = arena_->At(candidate.ref);
    const std::uint64_t hash = Hash(item.key());
    index_->PrefetchBucket(hash);
    c.PrefetchGhosts(hash);
    removal_records_.Prefetch(hash);
    if (c.is_draining(candidate.ref)) leaving.draining |= 1U << leaving.end;
    queue.Release(candidate);
    magazine.Release(leaving.end, candidate.ref, item, hash, candidate.segment);
  }
  if (const ItemRef next = queue.Next().ref; next != kNoItem) {
    __builtin_prefetch(&arena_->At(next), 1);
  }
  return leaving;
}

ItemRef Cache::LetGo(Magazine& magazine, std::uint32_t slot, const Index::Guard& held, Lane& lane,
                     ItemRef& leftovers) {
  const std::uint64_t hash = magazine.entry(slot).hash;
  Index::Guard guard = index_->TryLock(hash, &held);
  if (!guard) return kNoItem;
  // With the bucket locked nobody else removes it, or moves it to another chunk.
  const ItemRef ref = magazine.TakeBack(slot);
  if (ref == kNoItem) return kNoItem;
  Item& item = arena_->At(ref);
  const bool is_dead = IsDead(item, lane);
  const auto spared = is_dead ? std::nullopt : EvictionQueue::IfSpared(item.eviction_state());
  if (spared) {
    Pause(Moment::kSpared);
    item.set_eviction_state(*spared);
    magazine.Return(slot, ref, QueueEntry::kSpared);
    return kNoItem;
  }
  if (item.refs.load(std::memory_order_acquire) != 1) {
    magazine.Return(slot, ref, QueueEntry::kPutBack);
    return kNoItem;
  }
  magazine.AddReclaimed(DropItem(ref, hash, is_dead, guard, lane, leftovers));
  item.set_use(ChunkUse::kOwned);
  return ref;
}

void Cache::Settle(SlabClass& c, Magazine& magazine, const Index::Guard* held) {
  EvictionQueue& queue = c.queue();
  for (const ReclaimedItem& removal : magazine.TakeReclaimed()) {
    c.stats().Count(removal);
    if (!removal.is_dead) queue.NoteEviction(removal.segment, removal.hash);
  }
  for (std::uint32_t slot = 0; slot < Magazine::kSlots; ++slot) {
    const Magazine::Taken taken = held != nullptr ? magazine.TakeOwn(slot) : magazine.TakeAny(slot);
    if (taken.ref == kNoItem) continue;
    const Magazine::Entry& entry = taken.entry;
    if (arena_->At(taken.ref).use() == ChunkUse::kStocked) {
      c.Free(taken.ref);
    } else if (entry.queue_entry != QueueEntry::kNew) {
      queue.Return(taken.ref, entry.queue_entry, entry.segment);
    } else {
      const bool came_back = queue.NoteArrival(entry.hash);
      const Index::Guard guard = came_back ? index_->TryLock(entry.hash, held) : Index::Guard();
      queue.EnterArrived(taken.ref, static_cast<bool>(guard));
    }
  }
}

void Cache::Settle(SlabClass& c) {
  for (Magazine* const magazine : c.magazines()) Settle(c, *magazine, nullptr);
}

ItemRef Cache::AllocateChunk(SlabClass& c, ItemRef head, const Held& held, Lane& lane) {
  for (int tries = 0;; ++tries) {
    ItemRef leftovers = kNoItem;
    ItemRef ref = kNoItem;
    {
      const MutexLock lock(c.mutex());
      ref = AllocateOrEvict(c, held.guard, held.kept, lane, leftovers);
      if (ref != kNoItem && head != kNoItem) {
        arena_->At(ref).set_use(ChunkUse::kContinuation);
        arena_->At(ref).prev = head;
      }
    }
    FreeList(leftovers);
    if (ref != kNoItem || held.guard != nullptr) return ref;
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
  removal_records_.Resize(bytes / 100 * kRemovalRecordsPercent);
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
  item.set_eviction_state(ClassById(id).clock().AfterHit(item.eviction_state()));
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
    Settle(*c);
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
