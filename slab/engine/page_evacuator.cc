#include "slab/engine/page_evacuator.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <vector>

#include "slab/check.h"
#include "slab/engine/locked_item.h"

namespace larder::slab {
namespace {

// The search for a page looks at so many of a class, and at so many chunks of those that are in
// use.
constexpr std::size_t kPagesLookedMax = 1024;
constexpr std::uint32_t kChunksLookedMax = 1 << 16;
// Chunks that evictions free in the very page that is to be emptied, before a warm item of it finds
// one elsewhere: a page often holds the coldest items, side by side.
constexpr int kElsewhereTriesMax = 512;
// A piece of a longer chain is not copied: finding its place would hold the bucket for too long.
constexpr int kMovedPiecesMax = 256;

// All that a reader sees of the item, and its eviction state. REQUIRES: `to` has the room.
void CopyItem(const Item& from, Item& to) {
  to.number_low = from.number_low;
  to.number_high = from.number_high;
  to.size_and_state = from.size_and_state;
  to.key_bytes = from.key_bytes;
  to.last_access_low = from.last_access_low;
  to.last_access_high = from.last_access_high;
  const std::size_t cas_bytes = from.has_chosen_cas() ? Item::kChosenCasBytes : 0;
  std::memcpy(to.payload(), from.payload(), from.used_bytes() - sizeof(Item) + cas_bytes);
}

bool IsInUse(const Item& item) {
  return item.use() == ChunkUse::kOwned ||
         (item.is_linked() && item.refs.load(std::memory_order_relaxed) != 1);
}

}  // namespace

struct PageEvacuator::SeenKey {
  std::array<char, 255> room;
  std::size_t bytes = 0;

  std::string_view text() const { return {room.data(), bytes}; }
};

std::optional<PageIndex> PageEvacuator::Choose(SlabClass& c, std::span<const PageIndex> busy) {
  struct Choice {
    std::uint32_t used;
    std::uint32_t order;
    PageIndex page;
  };
  std::vector<Choice> choices;
  choices.reserve(kPagesLookedMax);
  const PageTable& table = classes_.page_table();
  const PageIndex pages = classes_.arena().touched_pages();
  const MutexLock lock(c.mutex());
  magazines_.EmptyAll(c);
  PageIndex page = cursor_;
  for (PageIndex looked = 0; looked < pages && choices.size() < kPagesLookedMax; ++looked) {
    page = page + 1 < pages ? page + 1 : 0;
    if (table.class_of(page) != c.id() || std::ranges::count(busy, page) != 0) continue;
    choices.push_back({.used = table.at(page).used,
                       .order = static_cast<std::uint32_t>(choices.size()),
                       .page = page});
  }
  std::ranges::sort(choices, [](const Choice& a, const Choice& b) {
    return a.used != b.used ? a.used < b.used : a.order < b.order;
  });
  std::uint32_t chunks = 0;
  for (const Choice& choice : choices) {
    if (chunks >= kChunksLookedMax) break;
    if (MayEmpty(c, choice.page)) {
      cursor_ = choice.page;
      return choice.page;
    }
    chunks += table.at(choice.page).carved;
  }
  cursor_ = page;
  return std::nullopt;
}

bool PageEvacuator::MayEmpty(SlabClass& c, PageIndex page) const {
  const Arena& arena = classes_.arena();
  const PageTable& table = classes_.page_table();
  const std::uint32_t carved = table.at(page).carved;
  for (std::uint32_t number = 0; number < carved; ++number) {
    const Item& item = arena.At(classes_.ChunkAt(c, page, number));
    if (IsInUse(item)) return false;
    // The head of a piece may be gone already, its page to another class.
    const bool has_head_here = item.use() == ChunkUse::kContinuation &&
                               c.id() == classes_.ladder().largest() &&
                               table.class_of(arena.PageOf(item.prev)) == c.id();
    if (has_head_here && IsInUse(arena.At(item.prev))) return false;
  }
  return true;
}

bool PageEvacuator::Evacuate(SlabClass& c, PageIndex page, Lane& lane) {
  const PageTable& table = classes_.page_table();
  std::uint32_t chunks = 0;
  {
    const MutexLock lock(c.mutex());
    if (table.class_of(page) != c.id()) return false;
    chunks = table.at(page).carved;
    if (c.Drain(page)) return true;
  }
  for (std::uint32_t number = 0; number < chunks; ++number) {
    const ItemRef chunk = classes_.ChunkAt(c, page, number);
    UsedChunk used{.page = page, .chunk = chunk, .item = chunk};
    const Next next = LookAt(c, used);
    if (next == Next::kPageLeft) return true;
    if (next == Next::kIsFree) continue;
    if (next == Next::kIsBusy || !EmptyChunk(c, used, lane)) break;
  }
  const MutexLock lock(c.mutex());
  if (table.class_of(page) != c.id()) return true;
  c.Readmit(page);
  return false;
}

PageEvacuator::Next PageEvacuator::LookAt(SlabClass& c, UsedChunk& used) {
  const Arena& arena = classes_.arena();
  const PageTable& table = classes_.page_table();
  const MutexLock lock(c.mutex());
  // With the last chunk the page has left.
  if (table.class_of(used.page) != c.id()) return Next::kPageLeft;
  if (arena.At(used.chunk).use() == ChunkUse::kStocked) magazines_.EmptyAll(c);
  if (table.class_of(used.page) != c.id()) return Next::kPageLeft;
  const ChunkUse use = arena.At(used.chunk).use();
  if (use == ChunkUse::kFree) return Next::kIsFree;
  if (use == ChunkUse::kOwned) return Next::kIsBusy;
  if (use == ChunkUse::kContinuation) used.item = arena.At(used.chunk).prev;
  return Next::kIsUsed;
}

PageEvacuator::Seen PageEvacuator::ReadKey(SlabClass& c, const UsedChunk& used,
                                           SeenKey& key) const {
  const ItemRef ref = used.item;
  // The head of a piece may lie in another class, and may be gone by now.
  SlabClass& item_class = used.is_piece() ? classes_.Largest() : c;
  const auto has_left = [&] {
    return classes_.page_table().class_of(classes_.arena().PageOf(ref)) != item_class.id();
  };
  const MutexLock lock(item_class.mutex());
  if (has_left()) return Seen::kGone;
  const Item& item = classes_.arena().At(ref);
  if (item.use() == ChunkUse::kLeaving) {
    magazines_.EmptyAll(item_class);
    if (has_left()) return Seen::kGone;
  }
  const ChunkUse use = item.use();
  if (use == ChunkUse::kOwned || use == ChunkUse::kLeaving) return Seen::kBusy;  // A lane has it.
  if (!Item::IsSteady(use)) return Seen::kGone;
  key.bytes = item.key_bytes;
  std::memcpy(key.room.data(), item.payload(), key.bytes);
  return Seen::kItem;
}

bool PageEvacuator::EmptyChunk(SlabClass& c, const UsedChunk& used, Lane& lane) {
  const ItemRef ref = used.item;
  SeenKey key;
  const Seen seen = ReadKey(c, used, key);
  if (seen != Seen::kItem) return seen == Seen::kGone;
  pause_.At(Moment::kItemSeen);
  const std::uint64_t seen_hash = hash_(key.text());
  Index::BucketLock guard(index_, seen_hash);
  if (!guard.Find(seen_hash, ref)) return true;
  // It is of this bucket, but may be another item by now.
  Item& item = classes_.arena().At(ref);
  const std::uint64_t hash = hash_(item.key());
  if (item.refs.load(std::memory_order_acquire) != 1) return false;
  const bool is_dead = liveness_.IsDead(item, lane);
  if (!is_dead) {
    const bool is_moved =
        used.is_piece() ? MovePiece(c, used, guard, lane) : MoveItem(c, used, guard, hash, lane);
    if (is_moved) return true;
    if (used.is_piece() && !IsPieceOf(c, used)) return true;  // The head was another's by now.
    // Without eviction, only a lowered limit takes items.
    const Arena& arena = classes_.arena();
    if (!allocator_.evicts() && arena.pages_in_use() <= arena.limit_pages()) return false;
  }
  CountRemoved(item, is_dead);
  // An eviction from this very bucket may have moved the slot.
  unlinker_.Unlink(guard, LockedItem(guard.Find(hash, ref), classes_.arena()), hash,
                   is_dead ? Liveness::CauseOfDeath(item, lane) : RemovalReason::kMoved, lane);
  return true;
}

void PageEvacuator::CountRemoved(const Item& item, bool is_dead) {
  SlabClass& c = classes_.ById(classes_.IdOf(item));
  const MutexLock lock(c.mutex());
  ClassStats& stats = c.stats();
  if (is_dead) {
    ++stats.reclaimed;
    return;
  }
  counters_.dropped_items.Add();
  ++stats.evicted;
  ++stats.evicted_for_page;
  if (item.expiry().is_set()) ++stats.evicted_nonzero;
  if (!item.was_fetched()) ++stats.evicted_unfetched;
}

bool PageEvacuator::IsPieceOf(SlabClass& c, const UsedChunk& used) const {
  const MutexLock lock(c.mutex());
  const Item& piece = classes_.arena().At(used.chunk);
  return piece.use() == ChunkUse::kContinuation && piece.prev == used.item;
}

ItemRef PageEvacuator::AllocateElsewhere(SlabClass& c, const UsedChunk& used,
                                         const Index::Guard& held, Lane& lane) {
  const Arena& arena = classes_.arena();
  FreeLater free_later(classes_);
  const MutexLock lock(c.mutex());
  ItemRef ref = kNoItem;
  for (int tries = 0; tries < kElsewhereTriesMax; ++tries) {
    ref = c.AllocateHere();
    if (ref != kNoItem || !allocator_.evicts()) break;
    const std::uint64_t evicted = c.stats().evicted;
    ref = allocator_.Evict(c, {.guard = &held, .kept = used.item}, lane, free_later);
    c.stats().evicted_for_page += c.stats().evicted - evicted;
    if (ref == kNoItem || arena.PageOf(ref) != used.page) break;
    c.Free(ref);  // One chunk less to empty.
    ref = kNoItem;
  }
  if (ref != kNoItem && used.is_piece()) {
    arena.At(ref).set_use(ChunkUse::kContinuation);
    arena.At(ref).prev = used.item;
  }
  return ref;
}

bool PageEvacuator::MoveItem(SlabClass& c, const UsedChunk& used, Index::Guard& guard,
                             std::uint64_t hash, Lane& lane) {
  const Arena& arena = classes_.arena();
  const Item& old = arena.At(used.item);
  int pieces = 0;
  for (ItemRef piece = old.first_continuation(); piece != kNoItem; piece = arena.At(piece).next) {
    if (++pieces > kMovedPiecesMax) return false;
  }
  const ItemRef ref = AllocateElsewhere(c, used, guard, lane);
  if (ref == kNoItem) return false;
  LARDER_ASSERT(arena.PageOf(ref) != used.page);
  Item& item = arena.At(ref);
  CopyItem(old, item);
  // Only whoever moves pages looks from a piece to its item.
  for (ItemRef piece = old.first_continuation(); piece != kNoItem; piece = arena.At(piece).next) {
    const MutexLock lock(classes_.Of(piece).mutex());
    arena.At(piece).prev = ref;
  }
  {
    const MutexLock lock(c.mutex());
    c.queue().Relocate(used.item, ref);
    c.Free(used.item);
  }
  guard.Replace(guard.Find(hash, used.item), ref);
  counters_.moved_items.Add();
  return true;
}

bool PageEvacuator::MovePiece(SlabClass& c, const UsedChunk& used, const Index::Guard& guard,
                              Lane& lane) {
  const Arena& arena = classes_.arena();
  Item& head = arena.At(used.item);
  Item* before = nullptr;
  ItemRef at = head.first_continuation();
  for (int pieces = 0; at != used.chunk; ++pieces) {
    // The item may be another than the one that had the chunk.
    if (at == kNoItem) return true;
    if (pieces == kMovedPiecesMax) return false;
    before = &arena.At(at);
    at = before->next;
  }
  const ItemRef ref = AllocateElsewhere(c, used, guard, lane);
  if (ref == kNoItem) return false;
  LARDER_ASSERT(arena.PageOf(ref) != used.page);
  Item& old = arena.At(used.chunk);
  Item& piece = arena.At(ref);
  piece.key_bytes = 0;
  piece.SetShape({}, old.value_bytes_here());
  piece.next = old.next;
  std::memcpy(piece.value(), old.value(), old.value_bytes_here());
  if (before == nullptr) {
    head.SetChain(ref, head.value_bytes(), head.value_bytes_here());
  } else {
    before->next = ref;
  }
  const MutexLock lock(c.mutex());
  c.Free(used.chunk);
  counters_.moved_pieces.Add();
  return true;
}

}  // namespace larder::slab
