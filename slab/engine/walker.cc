#include "slab/engine/walker.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "slab/check.h"
#include "slab/engine/locked_item.h"
#include "slab/sync/spin.h"

namespace larder::slab {

// --- In the order of addresses -------------------------------------------------------------------

// Looks at the page without a lock: what it finds is checked again with the class locked.
SlabClass* Walker::EnterPage(PageWalk& walk, const ClassSet* wanted) {
  const ClassId id = classes_.page_table().class_of(walk.page);
  if (id == 0 || (wanted != nullptr && !wanted->test(id))) {
    walk.LeavePage();
    return nullptr;
  }
  SlabClass& c = classes_.ById(id);
  // Prefetching is harmless without a lock. When the class is locked, the headers are in the cache
  // of the processor.
  const std::byte* const page = classes_.arena().PageAt(walk.page);
  const std::byte* chunk = page + std::size_t{walk.chunk} * c.chunk_bytes();
  const std::byte* const end = page + kPageBytes;
  for (std::uint32_t i = 0; i < kWalkChunksMax && chunk < end; ++i, chunk += c.chunk_bytes()) {
    __builtin_prefetch(chunk);
  }
  return &c;
}

// The page may have left the class before the class was locked.
bool Walker::HasChunk(SlabClass& c, PageIndex page, std::uint32_t number) const {
  const PageTable& table = classes_.page_table();
  return table.class_of(page) == c.id() && number < table.at(page).carved;
}

// Lists at most kWalkChunksMax chunks, or up to the end of the page.
void Walker::ListLinked(SlabClass& c, PageWalk& walk, WalkedItems& items) {
  for (; items.chunks < kWalkChunksMax && HasChunk(c, walk.page, walk.chunk);
       ++items.chunks, ++walk.chunk) {
    ListChunk(c, walk.page, walk.chunk, items);
  }
  if (!HasChunk(c, walk.page, walk.chunk)) walk.LeavePage();
}

void Walker::ListChunk(SlabClass& c, PageIndex page, std::uint32_t number, WalkedItems& items) {
  LARDER_ASSERT(HasChunk(c, page, number));
  const ItemRef ref = classes_.ChunkAt(c, page, number);
  const Item& item = classes_.arena().At(ref);
  ChunkUse use = item.use();
  // An item that is to be evicted can be read if it is queued again. That succeeds unless its lane
  // has taken it out.
  if (use == ChunkUse::kLeaving && !items.is_emptied) {
    magazines_.EmptyAll(c);
    items.is_emptied = true;
    // A chunk that became free was the last one of its page.
    if (!HasChunk(c, page, number)) return;
    use = item.use();
  }
  // The lane still has it: for later.
  if (use == ChunkUse::kLeaving) {
    items.held[items.held_count++] = number;
  } else if (Item::IsSteady(use)) {
    const std::uint64_t hash = hash_(item.key());
    items.Add({.ref = ref, .hash = hash});
    index_.PrefetchBucket(hash);
  }
}

// One step: list the items of some chunks with the class locked, then look at each with its bucket
// locked.
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
    // A page without chunks counts as one, so that a slice over many such pages ends.
    tally.chunks = std::max(items.chunks, 1U);
    tally.passed_over = static_cast<std::uint32_t>(items.held_count);
    for (const HashedRef& found : items.found()) SweepItem(c, found, lane, tally, free_later);
    c.stats().crawler_items_checked += tally.checked;
    c.stats().crawler_reclaimed += tally.reclaimed;
  }
  unlinker_.ReportCount(lane);
  return tally;
}

// A thread that holds a class waits for no bucket. An item whose bucket is locked or that is pinned
// is left for the next pass.
void Walker::SweepItem(SlabClass& c, const HashedRef& found, Lane& lane, SweepTally& tally,
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
  unlinker_.UnlinkDeadInClass(c, guard, found, lane, free_later);
  ++tally.reclaimed;
}

// Copies the item, unless it is dead.
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
  // Items whose buckets are locked by other threads, to be copied when the class is unlocked.
  WalkedItems busy;
  const PageIndex page = walk.page;
  WalkedItems items;
  // Chunks with items that a lane has taken out of its magazine. They are looked at again until
  // there are none.
  std::vector<std::uint32_t> held;
  for (bool is_first = true; is_first || !held.empty(); is_first = false) {
    // Lets the lane run: it holds locks, so it will be ready soon.
    if (!is_first) YieldProcessor();
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
      for (const HashedRef& found : items.found()) {
        const Index::Guard guard = index_.TryLock(found.hash, nullptr);
        if (guard) {
          TakeSnapshot(arena.At(found.ref), lane, snapshots, taken);
        } else {
          busy.Add(found);
        }
      }
    }
    // Without the class locked, the thread may wait for a bucket. An item that is found in it is
    // linked, though it may be another one than before.
    for (const HashedRef& found : busy.found()) {
      const Index::BucketLock guard(index_, found.hash);
      const LockedItem item(guard.Find(found.hash, found.ref), arena);
      if (item) TakeSnapshot(*item, lane, snapshots, taken);
    }
  }
  return taken;
}

// --- In the order of a queue ---------------------------------------------------------------------

// The item behind `ref`; main follows probation.
ItemRef Walker::NextQueued(SlabClass& c, ItemRef ref) const {
  const ItemRef next = classes_.arena().At(ref).next;
  if (next != kNoItem || ref != c.queue().oldest(Segment::kProbation)) return next;
  return c.queue().newest(Segment::kMain);
}

// Goes on behind the last item that was met and is still queued.
ItemRef Walker::Resume(SlabClass& c, const QueueWalk& walk) const {
  if (!walk.has_begun) {
    const ItemRef first = c.queue().newest(Segment::kProbation);
    return first != kNoItem ? first : c.queue().newest(Segment::kMain);
  }
  const Arena& arena = classes_.arena();
  for (const QueueWalk::Met& met : std::span(walk.met).first(walk.met_count)) {
    // The page may have been another class's meanwhile. Where no chunk was made since, the bytes
    // are those of other values.
    const PageIndex page = arena.PageOf(met.ref);
    const auto* const begin = reinterpret_cast<const std::byte*>(&arena.At(met.ref));
    const auto number = static_cast<std::uint32_t>((begin - arena.PageAt(page)) / c.chunk_bytes());
    if (!HasChunk(c, page, number)) continue;
    const Item& item = arena.At(met.ref);
    if (item.use() == ChunkUse::kQueued && item.key() == met.key()) return NextQueued(c, met.ref);
  }
  return kNoItem;
}

// Lists the next items, and remembers the last of them for the next step.
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
    // At the beginning of the walk every item is to be in a queue.
    const MutexLock lock(c.mutex());
    if (!walk.has_begun) magazines_.EmptyAll(c);
    ListQueued(c, walk, items, std::min<std::size_t>(snapshots.size(), kWalkChunksMax));
  }
  // The class is unlocked, so waiting for buckets is allowed.
  std::size_t taken = 0;
  for (const HashedRef& found : items.found()) {
    const Index::BucketLock guard(index_, found.hash);
    const LockedItem item(guard.Find(found.hash, found.ref), classes_.arena());
    if (item) TakeSnapshot(*item, lane, snapshots, taken);
  }
  return taken;
}

}  // namespace larder::slab
