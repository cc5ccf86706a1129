#include "slab/engine/walker.h"

#include <algorithm>
#include <cstring>
#include <thread>
#include <vector>

#include "slab/check.h"
#include "slab/engine/locked_item.h"

namespace larder::slab {

// --- In the order of addresses -------------------------------------------------------------------

SlabClass* Walker::EnterPage(PageWalk& walk, const ClassSet* wanted) {
  const ClassId id = classes_.page_table().class_of(walk.page);
  if (id == 0 || (wanted != nullptr && !wanted->test(id))) {
    walk.LeavePage();
    return nullptr;
  }
  SlabClass& c = classes_.ById(id);
  // A prefetch may touch what others own: the heads are here when the class is locked.
  const std::byte* const page = classes_.arena().PageAt(walk.page);
  const std::byte* chunk = page + std::size_t{walk.chunk} * c.chunk_bytes();
  const std::byte* const end = page + kPageBytes;
  for (std::uint32_t i = 0; i < kWalkChunksMax && chunk < end; ++i, chunk += c.chunk_bytes()) {
    __builtin_prefetch(chunk);
  }
  return &c;
}

// The page may have left the class before the lock was there.
bool Walker::HasChunk(SlabClass& c, PageIndex page, std::uint32_t number) const {
  const PageTable& table = classes_.page_table();
  return table.class_of(page) == c.id() && number < table.at(page).carved;
}

void Walker::ListLinked(SlabClass& c, PageWalk& walk, WalkedItems& items) {
  for (; items.chunks < kWalkChunksMax && HasChunk(c, walk.page, walk.chunk);
       ++items.chunks, ++walk.chunk) {
    ListChunk(c, walk.page, walk.chunk, items);
  }
  if (!HasChunk(c, walk.page, walk.chunk)) walk.LeavePage();
}

void Walker::ListChunk(SlabClass& c, PageIndex page, std::uint32_t number, WalkedItems& items) {
  const ItemRef ref = classes_.ChunkAt(c, page, number);
  const Item& item = classes_.arena().At(ref);
  ChunkUse use = item.use();
  if (use == ChunkUse::kLeaving && !items.is_emptied) {
    magazines_.EmptyAll(c);  // So it is queued again, unless the lane has taken it out.
    items.is_emptied = true;
    if (!HasChunk(c, page, number)) return;  // A free chunk was the last of its page.
    use = item.use();
  }
  if (use == ChunkUse::kLeaving) {
    items.held[items.held_count++] = number;
  } else if (Item::IsSteady(use)) {
    const std::uint64_t hash = hash_(item.key());
    items.Add({.ref = ref, .hash = hash});
    index_.PrefetchBucket(hash);
  }
}

SweepTally Walker::Sweep(PageWalk& walk, Lane& lane) {
  LARDER_ASSERT(!IsAtEnd(walk));
  SweepTally tally;
  SlabClass* const entered = EnterPage(walk, nullptr);
  if (entered == nullptr) return tally;
  SlabClass& c = *entered;
  {
    FreeLater free_later(classes_);
    WalkedItems items;
    const MutexLock lock(c.mutex());
    ListLinked(c, walk, items);
    pause_.At(Moment::kListed);
    tally.chunks = std::max(items.chunks, 1U);
    tally.passed_over = static_cast<std::uint32_t>(items.held_count);
    for (const WalkedItem& found : items.found()) SweepItem(c, found, lane, tally, free_later);
    c.stats().crawler_items_checked += tally.checked;
    c.stats().crawler_reclaimed += tally.reclaimed;
  }
  unlinker_.ReportCount(lane);
  return tally;
}

// Whoever holds a class waits for no bucket. What cannot be had now is for the next time.
void Walker::SweepItem(SlabClass& c, const WalkedItem& found, Lane& lane, SweepTally& tally,
                       FreeLater& free_later) {
  Index::Guard guard = index_.TryLock(found.hash, nullptr);
  if (!guard) {
    ++tally.passed_over;
    return;
  }
  guard.AssertHeld();
  ++tally.checked;
  const Item& item = classes_.arena().At(found.ref);
  if (!liveness_.IsDead(item, lane)) {
    if (item.expiry().is_set()) ++tally.expiring;
    return;
  }
  if (item.refs.load(std::memory_order_acquire) != 1) {
    ++tally.passed_over;
    return;
  }
  const LockedItem locked(guard.Find(found.hash, found.ref), classes_.arena());
  unlinker_.UnlinkDeadInClass(c, guard, locked, found.hash, lane, free_later);
  ++tally.reclaimed;
}

void Walker::TakeSnapshot(const Item& item, const Lane& lane, std::span<ItemSnapshot> snapshots,
                          std::size_t& taken) const {
  if (liveness_.IsDead(item, lane)) return;
  LARDER_ASSERT(taken < snapshots.size());
  ItemSnapshot& snapshot = snapshots[taken++];
  snapshot.cas = item.cas();
  snapshot.item_bytes = item.item_bytes();
  snapshot.value_bytes = item.value_bytes();
  snapshot.expires_at_s = item.expiry().is_set() ? item.expiry().UnixTime(lane) : 0;
  snapshot.idle_s = item.idle_s(lane.now_s);
  snapshot.client_flags = item.client_flags();
  snapshot.class_id = classes_.IdOf(item);
  snapshot.was_fetched = item.was_fetched();
  snapshot.has_binary_key = item.has_binary_key();
  snapshot.key_bytes = item.key_bytes;
  std::memcpy(snapshot.key_room.data(), item.payload(), item.key_bytes);
}

std::size_t Walker::Snapshot(PageWalk& walk, const ClassSet& classes, const Lane& lane,
                             std::span<ItemSnapshot, kWalkChunksMax> snapshots) {
  LARDER_ASSERT(!IsAtEnd(walk));
  SlabClass* const entered = EnterPage(walk, &classes);
  if (entered == nullptr) return 0;
  SlabClass& c = *entered;
  const Arena& arena = classes_.arena();
  std::size_t taken = 0;
  WalkedItems busy;
  const PageIndex page = walk.page;
  WalkedItems items;
  std::vector<std::uint32_t> held;  // What a lane has taken out, and what it had before.
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
      pause_.At(Moment::kListed);
      busy.count = 0;
      for (const WalkedItem& found : items.found()) {
        const Index::Guard guard = index_.TryLock(found.hash, nullptr);
        if (guard) {
          TakeSnapshot(arena.At(found.ref), lane, snapshots, taken);
        } else {
          busy.Add(found);
        }
      }
    }
    // Without the class one may wait for a bucket. What is found in it is linked, if perhaps not
    // the item that it was.
    for (const WalkedItem& found : busy.found()) {
      const Index::BucketLock guard(index_, found.hash);
      const LockedItem item(guard.Find(found.hash, found.ref), arena);
      if (item) TakeSnapshot(*item, lane, snapshots, taken);
    }
  }
  return taken;
}

// --- In the order of a queue ---------------------------------------------------------------------

ItemRef Walker::NextQueued(SlabClass& c, ItemRef ref) const {
  const ItemRef next = classes_.arena().At(ref).next;
  if (next != kNoItem || ref != c.queue().oldest(Segment::kProbation)) return next;
  return c.queue().newest(Segment::kMain);
}

ItemRef Walker::Resume(SlabClass& c, const QueueWalk& walk) const {
  if (!walk.has_begun) {
    const ItemRef first = c.queue().newest(Segment::kProbation);
    return first != kNoItem ? first : c.queue().newest(Segment::kMain);
  }
  const Arena& arena = classes_.arena();
  for (const QueueWalk::Met& met : std::span(walk.met).first(walk.met_count)) {
    // A chunk that was handed out once in a page of this class, so its head may be looked at.
    if (classes_.page_table().class_of(arena.PageOf(met.ref)) != c.id()) continue;
    const Item& item = arena.At(met.ref);
    if (item.use() == ChunkUse::kQueued && item.key() == met.key()) return NextQueued(c, met.ref);
  }
  return kNoItem;
}

void Walker::ListQueued(SlabClass& c, QueueWalk& walk, WalkedItems& items, std::size_t count) {
  const Arena& arena = classes_.arena();
  for (ItemRef ref = Resume(c, walk); ref != kNoItem && items.count < count;
       ref = NextQueued(c, ref)) {
    items.Add({.ref = ref, .hash = hash_(arena.At(ref).key())});
  }
  walk.has_begun = true;
  walk.is_at_end = items.count == 0;
  walk.met_count = std::min(items.count, QueueWalk::kMetMax);
  for (std::size_t i = 0; i < walk.met_count; ++i) {
    QueueWalk::Met& met = walk.met[i];
    met.ref = items.list[items.count - 1 - i].ref;
    const std::string_view key = arena.At(met.ref).key();
    met.key_bytes = static_cast<std::uint8_t>(key.size());
    std::ranges::copy(key, met.key_room.begin());
  }
}

std::size_t Walker::SnapshotQueue(QueueWalk& walk, Lane& lane, std::span<ItemSnapshot> snapshots) {
  if (walk.class_id == 0 || walk.class_id > classes_.count()) {
    walk.is_at_end = true;
    return 0;
  }
  SlabClass& c = classes_.ById(walk.class_id);
  WalkedItems items;
  {
    const MutexLock lock(c.mutex());
    if (!walk.has_begun) magazines_.EmptyAll(c);
    ListQueued(c, walk, items, std::min<std::size_t>(snapshots.size(), kWalkChunksMax));
  }
  std::size_t taken = 0;
  for (const WalkedItem& found : items.found()) {
    const Index::BucketLock guard(index_, found.hash);
    const LockedItem item(guard.Find(found.hash, found.ref), classes_.arena());
    if (item) TakeSnapshot(*item, lane, snapshots, taken);
  }
  return taken;
}

}  // namespace larder::slab
