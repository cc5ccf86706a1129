#include "slab/engine/snapshot.h"

#include <algorithm>

#include "slab/engine/snapshot_format.h"
#include "slab/item/hash.h"

namespace larder::slab {
namespace {

// Converts the times of an item to the clock of the next process, which starts with the wall
// clock's time.
void PutOnWallTime(Item& item, const Now& now) {
  if (now.wall_ahead_s == 0) return;
  // Succeeds, because the item had room for the expiry before.
  (void)item.SetExpiry(item.expiry().OnWallTime(now));
  item.set_last_access(now.wall_s() - item.idle_s(now.now_s));
}

}  // namespace

// The digest covers what a restart relies on: of an item all in front of the value, of a
// continuation the header.
std::uint64_t SnapshotDigest(ItemRef ref, const Item& item, std::uint32_t chunk_bytes) {
  std::size_t bytes = sizeof(Item);
  if (item.use() == ChunkUse::kQueued) bytes = item.head_bytes();
  return HashKey({reinterpret_cast<const char*>(&item), std::min<std::size_t>(bytes, chunk_bytes)},
                 ref);
}

// The largest state has the records of all classes and of all pages.
std::size_t CacheSnapshot::BytesMax(PageIndex capacity_pages) {
  return sizeof(SnapshotHead) + kClassesMax * sizeof(SnapshotClass) +
         capacity_pages * sizeof(SnapshotPage);
}

Result<std::vector<std::byte>, std::string> CacheSnapshot::Take(Engine& engine,
                                                                const SavedMoment& moment) {
  const Arena& arena = *engine.arena;
  const SizeLadder& ladder = engine.classes.ladder();
  const PageTable& table = engine.classes.page_table();
  const Now now{.now_s = moment.now_s, .wall_ahead_s = moment.wall_ahead_s};
  SnapshotHead head = {.page_bytes = kPageBytes,
                       .item_header_bytes = sizeof(Item),
                       .unit_bytes = static_cast<std::uint32_t>(arena.unit_bytes()),
                       .item_bytes_max = engine.admission.item_bytes_max(),
                       .class_count = static_cast<std::uint32_t>(ladder.class_count()),
                       .page_count = arena.touched_pages(),
                       .stopped_at_s = now.wall_s(),
                       .flush_due = moment.flush_due.OnWallTime(now),
                       .cas_unused = engine.versions.unused(),
                       .flush_cas = engine.versions.flush_mark(),
                       .items = 0,
                       .digest = 0};
  std::vector<std::byte> classes;
  // Magazines are emptied first, so that every item is queued.
  engine.classes.ForEach([&](SlabClass& c) {
    const MutexLock lock(c.mutex());
    engine.magazines.EmptyAll(c);
    AppendRecord(classes, SnapshotClass::Of(c.chunk_bytes(), c.queue().state()));
  });
  std::vector<std::byte> pages;
  for (PageIndex page = 0; page < head.page_count; ++page) {
    const ClassId id = table.class_of(page);
    const Page& entry = table.at(page);
    AppendRecord(pages, SnapshotPage{.class_id = id, .carved = entry.carved, .used = entry.used});
    if (id == 0) continue;
    const std::uint32_t chunk_bytes = ladder.chunk_bytes(id);
    for (std::uint32_t number = 0; number < entry.carved; ++number) {
      const ItemRef ref = arena.RefOf(arena.PageAt(page) + std::size_t{number} * chunk_bytes);
      Item& item = arena.At(ref);
      if (item.use() == ChunkUse::kFree) continue;
      const bool is_queued = item.use() == ChunkUse::kQueued;
      // An item that is being filled, or is pinned, would have no owner in the next process.
      const bool is_pinned = is_queued && item.refs.load(std::memory_order_relaxed) != 1;
      if (item.use() == ChunkUse::kOwned || is_pinned) {
        return Failure{std::string("an item is still in use")};
      }
      if (is_queued) {
        ++head.items;
        PutOnWallTime(item, now);
      }
      head.digest += SnapshotDigest(ref, item, chunk_bytes);
    }
  }
  // The head comes last, because its counts are known only now, but stands first in the state.
  std::vector<std::byte> state;
  state.reserve(sizeof head + classes.size() + pages.size());
  AppendRecord(state, head);
  state.insert(state.end(), classes.begin(), classes.end());
  state.insert(state.end(), pages.begin(), pages.end());
  return state;
}

}  // namespace larder::slab
