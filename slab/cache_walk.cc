// How the cache is walked in the order of addresses: for what expired, and for dumps.
#include <algorithm>
#include <cstring>
#include <thread>
#include <vector>

#include "slab/cache.h"
#include "slab/check.h"

namespace larder::slab {

SlabClass* Cache::EnterPage(PageWalk& walk, const ClassSet* wanted) {
  const ClassId id = page_table_.class_of(walk.page);
  if (id == 0 || (wanted != nullptr && !wanted->test(id))) {
    walk.LeavePage();
    return nullptr;
  }
  SlabClass& c = ClassById(id);
  // A prefetch may touch what others own: the heads are here when the class is locked.
  const std::byte* chunk = arena_->PageAt(walk.page) + std::size_t{walk.chunk} * c.chunk_bytes();
  const std::byte* const end = arena_->PageAt(walk.page) + kPageBytes;
  for (std::uint32_t i = 0; i < kWalkChunksMax && chunk < end; ++i, chunk += c.chunk_bytes()) {
    __builtin_prefetch(chunk);
  }
  return &c;
}

// The page may have left the class before the lock was there.
bool Cache::HasChunk(SlabClass& c, PageIndex page, std::uint32_t number) const {
  return page_table_.class_of(page) == c.id() && number < page_table_.at(page).carved;
}

void Cache::ListLinked(SlabClass& c, PageWalk& walk, WalkedItems& items) {
  for (; items.chunks < kWalkChunksMax && HasChunk(c, walk.page, walk.chunk);
       ++items.chunks, ++walk.chunk) {
    ListChunk(c, walk.page, walk.chunk, items);
  }
  if (!HasChunk(c, walk.page, walk.chunk)) walk.LeavePage();
}

void Cache::ListChunk(SlabClass& c, PageIndex page, std::uint32_t number, WalkedItems& items) {
  const ItemRef ref = arena_->RefOf(arena_->PageAt(page) + std::size_t{number} * c.chunk_bytes());
  const Item& item = arena_->At(ref);
  ChunkUse use = item.use();
  if (use == ChunkUse::kLeaving && !items.is_settled) {
    Settle(c);  // So it is queued again, unless the lane has it in its hands.
    items.is_settled = true;
    if (!HasChunk(c, page, number)) return;  // A free chunk was the last of its page.
    use = item.use();
  }
  if (use == ChunkUse::kLeaving) {
    items.held[items.held_count++] = number;
  } else if (Item::IsSteady(use)) {
    WalkedItem& listed = items.list[items.count++];
    listed = {.ref = ref, .hash = Hash(item.key())};
    index_->PrefetchBucket(listed.hash);
  }
}

SweepTally Cache::Sweep(PageWalk& walk, Lane& lane) {
  SweepTally tally;
  SlabClass* const entered = EnterPage(walk, nullptr);
  if (entered == nullptr) return tally;
  SlabClass& c = *entered;
  ItemRef leftovers = kNoItem;
  {
    WalkedItems items;
    const MutexLock lock(c.mutex());
    ListLinked(c, walk, items);
    Pause(Moment::kListed);
    tally.chunks = std::max(items.chunks, 1U);
    tally.passed_over = static_cast<std::uint32_t>(items.held_count);
    // Whoever holds this class waits for no bucket. What cannot be had now is for the next time.
    for (const WalkedItem& found : items.found()) {
      Item& item = arena_->At(found.ref);
      Index::Guard guard = index_->TryLock(found.hash, nullptr);
      if (!guard) {
        ++tally.passed_over;
        continue;
      }
      ++tally.checked;
      if (!IsDead(item, lane)) {
        if (item.expiry().is_set()) ++tally.expiring;
        continue;
      }
      if (item.refs.load(std::memory_order_acquire) != 1) {
        ++tally.passed_over;
        continue;
      }
      if (IsExpired(item, lane) && !item.was_fetched()) ++c.stats().expired_unfetched;
      TakeOut(c, guard, found, lane, leftovers);
      ++tally.reclaimed;
    }
    c.stats().crawler_items_checked += tally.checked;
    c.stats().crawler_reclaimed += tally.reclaimed;
  }
  FreeList(leftovers);
  TellIndex(lane);
  return tally;
}

// Frees a linked item that is dead and that nobody pins.
void Cache::TakeOut(SlabClass& c, Index::Guard& guard, const WalkedItem& found, Lane& lane,
                    ItemRef& leftovers) {
  Item& item = arena_->At(found.ref);
  const Index::Slot slot = guard.Find(found.hash, found.ref);
  LARDER_CHECK(slot);
  guard.Remove(slot);
  RecordRemoval(found.hash, CauseOfDeath(item, lane), item, lane);
  CountUnlinked(item, c.id(), lane);
  --lane.items_untold;
  c.queue().Remove(found.ref);
  if (!item.is_chained()) return c.Free(found.ref);
  item.next = leftovers;  // Its pieces are mostly of other classes, which may not be locked now.
  leftovers = found.ref;
}

void Cache::FillSnapshot(const Item& item, const Lane& lane, ItemSnapshot& snapshot) const {
  snapshot.cas = item.cas();
  snapshot.item_bytes = ItemBytes(item);
  snapshot.value_bytes = item.value_bytes();
  snapshot.expires_at_s = item.expiry().is_set() ? item.expiry().UnixTime(lane) : 0;
  snapshot.idle_s = item.idle_s(lane.now_s);
  snapshot.client_flags = item.client_flags();
  snapshot.class_id = ClassOf(item);
  snapshot.was_fetched = item.was_fetched();
  snapshot.has_binary_key = item.has_binary_key();
  snapshot.key_bytes = item.key_bytes;
  std::memcpy(snapshot.key_room.data(), item.payload(), item.key_bytes);
}

std::size_t Cache::Snapshot(PageWalk& walk, const ClassSet& classes, const Lane& lane,
                            std::span<ItemSnapshot, kWalkChunksMax> snapshots) {
  SlabClass* const entered = EnterPage(walk, &classes);
  if (entered == nullptr) return 0;
  SlabClass& c = *entered;
  std::size_t taken = 0;
  WalkedItems busy;
  const auto take = [&](const Item& item) {
    if (!IsDead(item, lane)) FillSnapshot(item, lane, snapshots[taken++]);
  };
  const PageIndex page = walk.page;
  WalkedItems items;
  std::vector<std::uint32_t> held;  // What a lane has in its hands, and what it had before.
  for (bool is_first = true; is_first || !held.empty(); is_first = false) {
    if (!is_first)
      std::this_thread::yield();  // To the lane: it holds locks, so it is not for long.
    items = {};
    {
      const MutexLock lock(c.mutex());
      if (is_first) {
        ListLinked(c, walk, items);
      } else {
        for (const std::uint32_t number : held) {
          if (HasChunk(c, page, number)) ListChunk(c, page, number, items);
        }
      }
      held.assign(items.held.begin(), items.held.begin() + items.held_count);
      Pause(Moment::kListed);
      busy.count = 0;
      for (const WalkedItem& found : items.found()) {
        const Index::Guard guard = index_->TryLock(found.hash, nullptr);
        if (guard) {
          take(arena_->At(found.ref));
        } else {
          busy.list[busy.count++] = found;
        }
      }
    }
    // Without the class one may wait for a bucket. What is found in it is linked, if perhaps not
    // the item that it was.
    for (const WalkedItem& found : busy.found()) {
      const Index::Guard guard = index_->Lock(found.hash);
      if (guard.Find(found.hash, found.ref)) take(arena_->At(found.ref));
    }
  }
  return taken;
}

}  // namespace larder::slab
