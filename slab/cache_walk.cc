// How the cache is walked in the order of addresses: for what expired, and for dumps.
#include <algorithm>
#include <cstring>

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

void Cache::ListLinked(SlabClass& c, PageWalk& walk, WalkedItems& items) const {
  // The page may have left the class before the lock was there.
  const bool is_here = page_table_.class_of(walk.page) == c.id();
  const std::uint32_t carved = is_here ? page_table_.at(walk.page).carved : 0;
  const std::byte* const page = arena_->PageAt(walk.page);
  for (; items.chunks < kWalkChunksMax && walk.chunk < carved; ++items.chunks, ++walk.chunk) {
    const ItemRef ref = arena_->RefOf(page + std::size_t{walk.chunk} * c.chunk_bytes());
    const Item& item = arena_->At(ref);
    if (!item.is_linked()) continue;
    WalkedItem& listed = items.list[items.count++];
    listed = {.ref = ref, .hash = Hash(item.key())};
    index_->PrefetchBucket(listed.hash);
  }
  if (walk.chunk >= carved) walk.LeavePage();
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
    tally.chunks = std::max(items.chunks, 1U);
    // Whoever holds this class waits for no bucket. What cannot be had now is for the next time.
    for (const WalkedItem& found : items.found()) {
      Item& item = arena_->At(found.ref);
      Index::Guard guard = index_->TryLock(found.hash, nullptr);
      if (!guard) {
        ++tally.passed_over;
        continue;
      }
      if (!item.is_linked()) continue;  // A lane has let it go.
      ++tally.checked;
      if (!IsDead(item, lane)) {
        if (item.expires_at_s() != 0) ++tally.expiring;
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
  NoteDeparture(found.hash, CauseOfDeath(item, lane), item, lane);
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
  snapshot.expires_at_s = item.expires_at_s();
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
  {
    WalkedItems items;
    const MutexLock lock(c.mutex());
    ListLinked(c, walk, items);
    for (const WalkedItem& found : items.found()) {
      const Index::Guard guard = index_->TryLock(found.hash, nullptr);
      if (guard) {
        if (arena_->At(found.ref).is_linked()) take(arena_->At(found.ref));
      } else {
        busy.list[busy.count++] = found;
      }
    }
  }
  // Without the class one may wait for a bucket. What is found in it is linked, if perhaps not the
  // item that it was.
  for (const WalkedItem& found : busy.found()) {
    const Index::Guard guard = index_->Lock(found.hash);
    if (guard.Find(found.hash, found.ref)) take(arena_->At(found.ref));
  }
  return taken;
}

}  // namespace larder::slab
