// How the cache makes room: eviction, and pages that go from class to class.
#include <algorithm>
#include <array>
#include <bitset>
#include <cstring>

#include "slab/cache.h"
#include "slab/check.h"

namespace larder::slab {
namespace {

// How far an eviction looks: candidates in all, and how many of them it spares for their hits.
constexpr int kEvictLooksMax = 64;
constexpr int kEvictSparesMax = 32;
// After so many that cannot go now, the other segment is asked.
constexpr int kEvictBusyMax = 16;
constexpr std::uint32_t kDonorChunksMax = 1 << 16;  // Looked at in pages that are in use.
constexpr int kMaintainPagesMax = 256;              // 64 MiB given back per call.

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

bool Cache::MakeRoom(SlabClass& needy, Lane& lane) {
  if (!evict_) return false;
  const MutexLock mover(mover_mutex_);
  for (int tries = 0; tries < kMakeRoomTriesMax; ++tries) {
    const auto page = ChooseDonorPage(&needy);
    if (!page) return false;
    if (Evacuate(*page, lane)) {
      pages_moved_.fetch_add(1, std::memory_order_relaxed);
      return true;
    }
  }
  return false;
}

// A page of the class that has most of them, in turn; `needy` keeps its own. If all that are looked
// at are in use, a page of the class that has most of the others.
std::optional<PageIndex> Cache::ChooseDonorPage(const SlabClass* needy) {
  std::bitset<kClassesMax + 1> refused;
  for (;;) {
    SlabClass* donor = nullptr;
    std::uint32_t donor_pages = 0;
    for (std::size_t id = 1; id < classes_.size(); ++id) {
      SlabClass& c = ClassById(id);
      if (&c == needy || refused.test(id)) continue;
      const MutexLock lock(c.mutex());
      if (c.page_count() > donor_pages) {
        donor = &c;
        donor_pages = c.page_count();
      }
    }
    if (donor == nullptr) return std::nullopt;
    const PageIndex pages = arena_->touched_pages();
    const MutexLock lock(donor->mutex());
    std::uint32_t chunks = 0;
    for (PageIndex looked = 0; looked < pages && chunks < kDonorChunksMax; ++looked) {
      mover_cursor_ = mover_cursor_ + 1 < pages ? mover_cursor_ + 1 : 0;
      if (page_table_.class_of(mover_cursor_) != donor->id()) continue;
      if (MayEmpty(*donor, mover_cursor_)) return mover_cursor_;
      chunks += page_table_.at(mover_cursor_).carved;
    }
    refused.set(donor->id());
  }
}

// False if a chunk of the page is reserved or pinned, as far as this class can tell.
bool Cache::MayEmpty(SlabClass& c, PageIndex page) const {
  const auto is_in_use = [](const Item& item) {
    return item.use == ChunkUse::kOwned ||
           (item.use == ChunkUse::kQueued && item.refs.load(std::memory_order_relaxed) != 1);
  };
  const std::uint32_t carved = page_table_.at(page).carved;
  for (std::uint32_t number = 0; number < carved; ++number) {
    const std::byte* chunk = arena_->PageAt(page) + std::size_t{number} * c.chunk_bytes();
    const Item& item = arena_->At(arena_->RefOf(chunk));
    if (is_in_use(item)) return false;
    // The head of a piece may be gone already, its page to another class.
    const bool has_head_here = item.use == ChunkUse::kContinuation && c.id() == ladder_.largest() &&
                               page_table_.class_of(arena_->PageOf(item.prev)) == c.id();
    if (has_head_here && is_in_use(arena_->At(item.prev))) return false;
  }
  return true;
}

// Takes all items out of a page and the page out of its class. False if somebody still uses a chunk
// of it: then the page stays.
bool Cache::Evacuate(PageIndex page, Lane& lane) {
  SlabClass& c = ClassById(page_table_.class_of(page));
  std::uint32_t chunks = 0;
  {
    const MutexLock lock(c.mutex());
    chunks = page_table_.at(page).carved;
    if (c.Drain(page)) return true;
  }
  std::array<char, 255> key;
  for (std::uint32_t number = 0; number < chunks; ++number) {
    const ItemRef chunk =
        arena_->RefOf(arena_->PageAt(page) + std::size_t{number} * c.chunk_bytes());
    ItemRef ref = chunk;
    std::size_t key_bytes = 0;
    const auto copy_key = [&](const Item& item) {
      key_bytes = item.key_bytes;
      std::memcpy(key.data(), item.payload(), key_bytes);
    };
    bool is_queued = false;
    {
      const MutexLock lock(c.mutex());
      // With the last chunk the page may leave, and go to another class.
      if (page_table_.class_of(page) != c.id() || !page_table_.at(page).is_draining) return true;
      const Item& item = arena_->At(chunk);
      if (item.use == ChunkUse::kContinuation) ref = item.prev;
      if (item.use == ChunkUse::kQueued) {
        is_queued = true;
        copy_key(item);
      }
    }
    if (ref != chunk) {
      // A piece of a large item: its head may lie in another class, and may be gone by now.
      SlabClass& head_class = ClassById(ladder_.largest());
      const MutexLock lock(head_class.mutex());
      if (ClassOf(ref).id() != head_class.id()) continue;
      const Item& head = arena_->At(ref);
      is_queued = head.use == ChunkUse::kQueued;
      if (is_queued) copy_key(head);
    }
    if (!is_queued) continue;
    const std::uint64_t hash = Hash({key.data(), key_bytes});
    Index::Guard guard = index_->Lock(hash);
    const Index::Slot slot = guard.Find(hash, ref);
    if (!slot) continue;
    {
      const MutexLock lock(ClassOf(ref).mutex());
      ClassStats& stats = ClassOf(ref).stats();
      const Item& item = arena_->At(ref);
      ++stats.evicted;
      ++stats.evicted_for_page;
      if (item.expires_at_s != 0) ++stats.evicted_nonzero;
      if (!item.was_fetched()) ++stats.evicted_unfetched;
    }
    const Item& item = arena_->At(ref);
    Retire(guard, slot, hash,
           IsDead(item, lane) ? CauseOfDeath(item, lane) : DepartureReason::kMoved, lane);
  }
  const MutexLock lock(c.mutex());
  if (page_table_.class_of(page) != c.id() || !page_table_.at(page).is_draining) return true;
  c.Readmit(page);
  return false;
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
    const auto page = ChooseDonorPage(nullptr);
    if (!page) break;
    if (Evacuate(*page, lane)) pages_moved_.fetch_add(1, std::memory_order_relaxed);
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
