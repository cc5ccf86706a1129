// What the cache tells about itself.
#include <algorithm>

#include "slab/cache.h"
#include "slab/check.h"
#include "slab/memory/resident.h"

namespace larder::slab {
namespace {

std::span<std::byte> PieceOf(Item& chunk) { return {chunk.value(), chunk.value_bytes_here()}; }

}  // namespace

std::vector<ClassSnapshot> Cache::Classes(Lane& lane) {
  std::vector<ClassSnapshot> snapshots;
  for (std::size_t id = 1; id < classes_.size(); ++id) {
    SlabClass& c = ClassById(id);
    ClassSnapshot snapshot;
    snapshot.id = c.id();
    snapshot.chunk_bytes = c.chunk_bytes();
    snapshot.chunks_per_page = c.chunks_per_page();
    std::string oldest_on_probation;
    std::string oldest_in_main;
    {
      const MutexLock lock(c.mutex());
      Settle(c);
      EvictionQueue& queue = c.queue();
      snapshot.pages = c.page_count();
      snapshot.used_chunks = c.used_chunks();
      snapshot.probation_items = queue.count(Segment::kProbation);
      snapshot.main_items = queue.count(Segment::kMain);
      snapshot.probation_target = queue.probation_target();
      snapshot.ghost_bytes = queue.ghost_bytes();
      snapshot.stats = c.stats();
      snapshot.queue = queue.stats();
      const auto key_of = [&](ItemRef ref) {
        return ref != kNoItem ? std::string(arena_->At(ref).key()) : std::string();
      };
      oldest_on_probation = key_of(queue.oldest(Segment::kProbation));
      oldest_in_main = key_of(queue.oldest(Segment::kMain));
    }
    const auto age_of = [&](const std::string& key) {
      std::uint64_t age_s = 0;
      if (key.empty()) return age_s;
      (void)Visit({.bytes = key, .hash = Hash(key)}, lane,
                  [&](const Item& item) { age_s = item.idle_s(lane.now_s); });
      return age_s;
    };
    snapshot.probation_age_s = age_of(oldest_on_probation);
    snapshot.main_age_s = age_of(oldest_in_main);
    snapshots.push_back(snapshot);
  }
  return snapshots;
}

MemoryUse Cache::Memory() {
  MemoryUse use;
  ForEachLane([&](const Lane& lane) { use.items += lane.bytes.value(); });
  std::uint64_t used_chunks = 0;
  for (std::size_t id = 1; id < classes_.size(); ++id) {
    SlabClass& c = ClassById(id);
    const MutexLock lock(c.mutex());
    Settle(c);
    const std::uint64_t chunks = std::uint64_t{c.page_count()} * c.chunks_per_page();
    used_chunks += c.used_chunks() * c.chunk_bytes();
    use.free_chunks += (chunks - c.used_chunks()) * c.chunk_bytes();
    use.page_tails += c.page_count() * kPageBytes - chunks * c.chunk_bytes();
    use.ghosts += c.queue().resident_ghost_bytes();
  }
  use.slack = used_chunks - std::min(used_chunks, use.items);
  use.free_pages = std::uint64_t{arena_->free_pages()} * kPageBytes;

  const std::uint64_t touched = std::uint64_t{arena_->touched_pages()} * kPageBytes;
  const std::uint64_t limit = std::max(arena_->limit_bytes(), touched);
  // Nothing of a file is touched ahead.
  const bool is_file = memory_file_ != nullptr;
  use.ahead = is_file ? 0 : ResidentBytes(arena_->PageAt(0) + touched, limit - touched);
  const std::uint64_t resident =
      is_file ? MappedBytes(arena_->PageAt(0), limit) : ResidentBytes(arena_->PageAt(0), touched);
  const std::uint64_t known = use.arena() - use.ahead;
  use.untouched = known - std::min(known, resident);

  use.index_used = index_->used_bytes();
  use.index = index_->resident_bytes();
  use.removal_records = removal_records_.resident_bytes();
  use.page_table = page_table_.BytesFor(arena_->touched_pages());
  return use;
}

void Cache::ForEachLane(const std::function<void(const Lane&)>& fn) const {
  const MutexLock lock(lanes_mutex_);
  for (const Lane& lane : lanes_) fn(lane);
}

void Cache::ResetClassStats() {
  for (const auto& c : classes_) {
    const MutexLock lock(c->mutex());
    c->stats() = ClassStats{};
    c->queue().stats() = QueueStats{};
  }
}

ItemRef Cache::NextQueued(SlabClass& c, ItemRef ref) const {
  const ItemRef next = arena_->At(ref).next;
  if (next != kNoItem || ref != c.queue().oldest(Segment::kProbation)) return next;
  return c.queue().newest(Segment::kMain);
}

ItemRef Cache::Resume(SlabClass& c, const QueueWalk& walk) const {
  if (!walk.has_begun) {
    const ItemRef first = c.queue().newest(Segment::kProbation);
    return first != kNoItem ? first : c.queue().newest(Segment::kMain);
  }
  for (const QueueWalk::Met& met : std::span(walk.met).first(walk.met_count)) {
    // A chunk that was handed out once in a page of this class, so its head may be looked at.
    if (page_table_.class_of(arena_->PageOf(met.ref)) != c.id()) continue;
    const Item& item = arena_->At(met.ref);
    if (item.use() == ChunkUse::kQueued && item.key() == met.key()) return NextQueued(c, met.ref);
  }
  return kNoItem;
}

void Cache::ListQueued(SlabClass& c, QueueWalk& walk, WalkedItems& items, std::size_t count) {
  for (ItemRef ref = Resume(c, walk); ref != kNoItem && items.count < count;
       ref = NextQueued(c, ref)) {
    items.list[items.count++] = {.ref = ref, .hash = Hash(arena_->At(ref).key())};
  }
  walk.has_begun = true;
  walk.is_at_end = items.count == 0;
  walk.met_count = std::min(items.count, QueueWalk::kMetMax);
  for (std::size_t i = 0; i < walk.met_count; ++i) {
    QueueWalk::Met& met = walk.met[i];
    met.ref = items.list[items.count - 1 - i].ref;
    const std::string_view key = arena_->At(met.ref).key();
    met.key_bytes = static_cast<std::uint8_t>(key.size());
    std::ranges::copy(key, met.key_room.begin());
  }
}

std::size_t Cache::SnapshotQueue(QueueWalk& walk, Lane& lane, std::span<ItemSnapshot> snapshots) {
  if (walk.class_id == 0 || walk.class_id >= classes_.size()) {
    walk.is_at_end = true;
    return 0;
  }
  SlabClass& c = ClassById(walk.class_id);
  WalkedItems items;
  {
    const MutexLock lock(c.mutex());
    if (!walk.has_begun) Settle(c);
    ListQueued(c, walk, items, std::min<std::size_t>(snapshots.size(), kWalkChunksMax));
  }
  std::size_t taken = 0;
  for (const WalkedItem& found : items.found()) {
    const Index::Guard guard = index_->Lock(found.hash);
    if (!guard.Find(found.hash, found.ref)) continue;
    const Item& item = arena_->At(found.ref);
    if (!IsDead(item, lane)) FillSnapshot(item, lane, snapshots[taken++]);
  }
  return taken;
}

// The number of chunks that the segment's items take. Adds those that are alive.
std::uint64_t Cache::CheckSegment(SlabClass& c, Segment segment, AliveCount& alive) {
  std::uint64_t used = 0;
  std::uint64_t walked = 0;
  ItemRef before = kNoItem;
  for (ItemRef ref = c.queue().newest(segment); ref != kNoItem; ref = arena_->At(ref).next) {
    Item& item = arena_->At(ref);
    LARDER_CHECK(item.use() == ChunkUse::kQueued);
    LARDER_CHECK(item.eviction_state().segment() == segment);
    LARDER_CHECK(item.refs.load() == 1);
    LARDER_CHECK(item.prev == before);
    LARDER_CHECK(ClassOf(item) == c.id());
    const std::uint64_t hash = Hash(item.key());
    LARDER_CHECK(index_->Lock(hash).Find(hash, ref));
    std::size_t bytes = PieceOf(item).size();
    ++used;
    for (ItemRef piece = item.first_continuation(); piece != kNoItem;) {
      Item& chunk = arena_->At(piece);
      LARDER_CHECK(chunk.use() == ChunkUse::kContinuation);
      LARDER_CHECK(chunk.prev == ref);
      bytes += PieceOf(chunk).size();
      ++used;
      piece = chunk.next;
    }
    LARDER_CHECK(bytes == item.value_bytes());
    if (!IsBelow(item, flush_cutoff_.load())) {
      ++alive.items;
      alive.bytes += ItemBytes(item);
    }
    before = ref;
    ++walked;
  }
  LARDER_CHECK(walked == c.queue().count(segment));
  LARDER_CHECK(before == c.queue().oldest(segment));
  return used;
}

void Cache::CheckInvariants() {
  const std::uint64_t indexed =
      index_->CheckInvariants([this](ItemRef ref) { return Hash(arena_->At(ref).key()); });
  std::uint64_t queued = 0;
  std::uint64_t used = 0;
  std::uint64_t expected_used = 0;
  std::uint32_t pages = 0;
  AliveCount alive;
  for (std::size_t id = 1; id < classes_.size(); ++id) {
    SlabClass& c = ClassById(id);
    const MutexLock lock(c.mutex());
    Settle(c);
    pages += c.page_count();
    used += c.used_chunks();
    queued += c.queue().count();
    for (const Segment segment : {Segment::kProbation, Segment::kMain}) {
      expected_used += CheckSegment(c, segment, alive);
    }
  }
  LARDER_CHECK(indexed == queued);
  LARDER_CHECK(used == expected_used);
  LARDER_CHECK(Alive() == alive);
  LARDER_CHECK(pages == arena_->pages_in_use());
}

}  // namespace larder::slab
