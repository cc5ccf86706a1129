#include "slab/engine/census.h"

#include <algorithm>

#include "slab/check.h"
#include "slab/memory/resident.h"

namespace larder::slab {

std::vector<ClassSnapshot> Census::CleanAndDescribeClasses(Lane& lane) {
  std::vector<ClassSnapshot> snapshots;
  parts_.classes.ForEach([&](SlabClass& c) { snapshots.push_back(CleanAndDescribe(c, lane)); });
  return snapshots;
}

ClassSnapshot Census::CleanAndDescribe(SlabClass& c, Lane& lane) {
  ClassSnapshot snapshot;
  snapshot.id = c.id();
  snapshot.chunk_bytes = c.chunk_bytes();
  snapshot.chunks_per_page = c.chunks_per_page();
  std::string oldest_on_probation;
  std::string oldest_in_main;
  // With the class locked: all numbers of one class belong together.
  {
    const MutexLock lock(c.mutex());
    parts_.magazines.EmptyAll(c);
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
      return ref != kNoItem ? std::string(parts_.classes.arena().At(ref).key()) : std::string();
    };
    oldest_on_probation = key_of(queue.oldest(Segment::kProbation));
    oldest_in_main = key_of(queue.oldest(Segment::kMain));
  }
  // The ages need the locks of buckets, which must not be waited for while the class is locked. So
  // only the keys of the oldest items were copied above.
  snapshot.probation_age_s = IdleOf(oldest_on_probation, lane);
  snapshot.main_age_s = IdleOf(oldest_in_main, lane);
  return snapshot;
}

std::uint64_t Census::IdleOf(const std::string& key, Lane& lane) {
  std::uint64_t idle_s = 0;
  if (key.empty()) return idle_s;
  (void)parts_.lookup.Visit({.bytes = key, .hash = parts_.hash(key)}, lane,
                            [&](const Item& item) { idle_s = item.idle_s(lane.now_s); });
  return idle_s;
}

MemoryUse Census::Memory() const {
  const Arena& arena = parts_.classes.arena();
  MemoryUse use;
  parts_.lanes.ForEach([&](const Lane& lane) { use.items += lane.bytes.value(); });
  std::uint64_t used_chunks = 0;
  parts_.classes.ForEach([&](SlabClass& c) {
    const MutexLock lock(c.mutex());
    parts_.magazines.EmptyAll(c);
    const std::uint64_t chunks = c.chunk_count();
    use.room += std::uint64_t{c.spare_page_count()} * kPageBytes;
    used_chunks += c.used_chunks() * c.chunk_bytes();
    use.free_chunks += (chunks - c.used_chunks()) * c.chunk_bytes();
    use.page_tails += c.page_count() * kPageBytes - chunks * c.chunk_bytes();
    use.ghosts += c.queue().resident_ghost_bytes();
  });
  // The items were counted before the chunks, so the two sums may not fit together exactly; the
  // difference must not fall below 0.
  use.slack = used_chunks - std::min(used_chunks, use.items);
  use.free_pages = std::uint64_t{arena.free_pages()} * kPageBytes;
  const PageIndex limit_pages = arena.limit_pages();
  use.room += std::uint64_t{limit_pages - std::min(limit_pages, arena.pages_in_use())} * kPageBytes;

  const std::uint64_t touched = std::uint64_t{arena.touched_pages()} * kPageBytes;
  const std::uint64_t limit = std::max(arena.limit_bytes(), touched);
  // Memory of a file is never touched ahead of need.
  use.ahead = parts_.is_on_file ? 0 : ResidentBytes(arena.PageAt(0) + touched, limit - touched);
  const std::uint64_t resident = parts_.is_on_file ? MappedBytes(arena.PageAt(0), limit)
                                                   : ResidentBytes(arena.PageAt(0), touched);
  // What the arena has handed out, less what is resident, was never touched or was given back.
  const std::uint64_t known = use.arena() - use.ahead;
  use.untouched = known - std::min(known, resident);

  use.index_used = parts_.index.used_bytes();
  use.index = parts_.index.resident_bytes();
  use.removal_records = parts_.records.resident_bytes();
  use.drops = parts_.drops.bytes();
  use.page_table = PageTable::BytesFor(arena.touched_pages());
  return use;
}

void Census::ResetClassStats() {
  parts_.classes.ForEach([](SlabClass& c) {
    const MutexLock lock(c.mutex());
    c.stats() = ClassStats{};
    c.queue().stats() = QueueStats{};
  });
}

// Checks the chunks of an item: its continuations name the item and together hold the whole value.
// Returns their number, with the item's own chunk.
std::uint64_t Census::CheckChunks(ItemRef ref) const {
  const Arena& arena = parts_.classes.arena();
  const Item& item = arena.At(ref);
  std::uint64_t chunks = 1;
  std::uint64_t bytes = item.value_bytes_here();
  for (ItemRef at = item.first_continuation(); at != kNoItem; at = arena.At(at).next) {
    const Item& piece = arena.At(at);
    LARDER_CHECK(piece.use() == ChunkUse::kContinuation);
    LARDER_CHECK(piece.prev == ref);
    bytes += piece.value_bytes_here();
    ++chunks;
  }
  LARDER_CHECK(bytes == item.value_bytes());
  return chunks;
}

void Census::AddToPrefix(const Item& item, ClassId id, Found& found) const {
  // The chunks as they are, and not as PrefixCounts computes them.
  const Arena& arena = parts_.classes.arena();
  std::uint64_t memory = parts_.classes.ladder().chunk_bytes(id);
  for (ItemRef at = item.first_continuation(); at != kNoItem; at = arena.At(at).next) {
    memory += parts_.classes.ChunkBytesOf(arena.At(at));
  }
  auto& row = found.prefixes[parts_.prefixes.table().Find(item.key())];
  row[static_cast<std::size_t>(PrefixStat::kItems)] += 1;
  row[static_cast<std::size_t>(PrefixStat::kBytes)] += item.item_bytes();
  row[static_cast<std::size_t>(PrefixStat::kMemory)] += memory;
}

void Census::CheckPrefixes(const Found& found) const {
  std::vector<Counters<PrefixStat>::Values> counted(kPrefixRows);
  parts_.lanes.ForEach([&](const Lane& lane) {
    for (std::size_t row = 0; row < kPrefixRows; ++row) {
      lane.prefixes->rows[row].AddTo(counted[row]);
    }
  });
  for (std::size_t row = 0; row < kPrefixRows; ++row) {
    for (const PrefixStat stat : {PrefixStat::kItems, PrefixStat::kBytes, PrefixStat::kMemory}) {
      const auto at = static_cast<std::size_t>(stat);
      LARDER_CHECK(counted[row][at] == found.prefixes[row][at]);
    }
  }
}

std::uint64_t Census::CheckSegment(SlabClass& c, Segment segment, Found& found) const {
  const Arena& arena = parts_.classes.arena();
  std::uint64_t used = 0;
  c.queue().CheckInvariants();
  // No other thread is active, so it is safe to wait for a bucket with the class locked.
  for (ItemRef ref = c.queue().newest(segment); ref != kNoItem; ref = arena.At(ref).next) {
    const Item& item = arena.At(ref);
    LARDER_CHECK(item.refs.load() == 1);
    LARDER_CHECK(parts_.classes.IdOf(item) == c.id());
    const std::uint64_t hash = parts_.hash(item.key());
    LARDER_CHECK(parts_.index.Lock(hash).Find(hash, ref));
    used += CheckChunks(ref);
    if (!parts_.versions.IsBelow(item, parts_.versions.cutoff())) {
      ++found.alive.items;
      found.alive.bytes += item.item_bytes();
    }
    if (!found.prefixes.empty()) AddToPrefix(item, c.id(), found);
  }
  return used;
}

// The index, the queues, the chunks in use, the counts of living items and the pages are counted in
// different ways. All must agree.
void Census::CheckInvariants() const {
  const Arena& arena = parts_.classes.arena();
  const std::uint64_t indexed =
      parts_.index.CheckInvariants([&](ItemRef ref) { return parts_.hash(arena.At(ref).key()); });
  std::uint64_t queued = 0;
  std::uint64_t used = 0;
  std::uint64_t expected_used = 0;
  std::uint32_t pages = 0;
  Found found;
  if (parts_.lanes.counts_prefixes()) found.prefixes.resize(kPrefixRows);
  parts_.classes.ForEach([&](SlabClass& c) {
    const MutexLock lock(c.mutex());
    parts_.magazines.EmptyAll(c);
    c.CheckInvariants();
    pages += c.page_count();
    used += c.used_chunks();
    queued += c.queue().count();
    for (const Segment segment : {Segment::kProbation, Segment::kMain}) {
      expected_used += CheckSegment(c, segment, found);
    }
  });
  LARDER_CHECK(indexed == queued);
  LARDER_CHECK(used == expected_used);
  LARDER_CHECK(parts_.liveness.Alive() == found.alive);
  if (!found.prefixes.empty()) CheckPrefixes(found);
  LARDER_CHECK(pages == arena.pages_in_use());
}

}  // namespace larder::slab
