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

// The search for a page looks at this many pages of a class, and at this many chunks of those that
// are used.
constexpr std::size_t kPagesLookedMax = 1024;
constexpr std::uint32_t kChunksLookedMax = 1 << 16;
// An eviction that is to find room elsewhere may free chunks in the very page that is being
// emptied, because a page often holds the coldest items side by side. So many of them are accepted.
constexpr int kElsewhereTriesMax = 512;
// Pieces of longer chains are not moved, because finding a piece's place would hold the bucket for
// too long.
constexpr int kMovedPiecesMax = 256;

// Copies all that a reader sees of the item, and its eviction state. REQUIRES: `to` has the room.
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

// True if the chunk is being filled, or is pinned: it cannot be moved now.
bool IsInUse(const Item& item) {
  return item.use() == ChunkUse::kOwned ||
         (item.is_linked() && item.refs.load(std::memory_order_relaxed) != 1);
}

}  // namespace

// A copy of a key.
struct PageEvacuator::SeenKey {
  std::array<char, 255> room;
  std::size_t bytes = 0;

  std::string_view text() const { return {room.data(), bytes}; }
};

std::optional<PageIndex> PageEvacuator::Choose(SlabClass& c, std::span<const PageIndex> busy) {
  // A page that may be chosen. `order` is its place in the round.
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
  // Begins behind the page that was chosen last, so that every page has its turn.
  PageIndex page = cursor_;
  for (PageIndex looked = 0; looked < pages && choices.size() < kPagesLookedMax; ++looked) {
    page = page + 1 < pages ? page + 1 : 0;
    if (table.class_of(page) != c.id() || std::ranges::count(busy, page) != 0) continue;
    choices.push_back({.used = table.at(page).used,
                       .order = static_cast<std::uint32_t>(choices.size()),
                       .page = page});
  }
  // Pages with few used chunks are cheaper to empty.
  std::ranges::sort(choices, [](const Choice& a, const Choice& b) {
    return a.used != b.used ? a.used < b.used : a.order < b.order;
  });
  std::uint32_t chunks = 0;
  for (const Choice& choice : choices) {
    if (chunks >= kChunksLookedMax) break;
    // A look at the chunks of the best pages finds those in use.
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
  // Looks at all chunks that were handed out, without the locks of buckets: the answer is a guess,
  // and Evacuate will see.
  const Arena& arena = classes_.arena();
  const PageTable& table = classes_.page_table();
  const std::uint32_t carved = table.at(page).carved;
  for (std::uint32_t number = 0; number < carved; ++number) {
    const Item& item = arena.At(classes_.ChunkAt(c, page, number));
    if (IsInUse(item)) return false;
    // The first chunk of a piece's item may be gone already, and its page belong to another class.
    // Only a head in this class can be looked at with this class locked.
    const bool has_head_here = item.use() == ChunkUse::kContinuation &&
                               c.id() == classes_.ladder().largest() &&
                               table.class_of(arena.PageOf(item.prev)) == c.id();
    if (has_head_here && IsInUse(arena.At(item.prev))) return false;
  }
  return true;
}

bool PageEvacuator::Evacuate(SlabClass& c, PageIndex page, OnlyPage only, Lane& lane) {
  const PageTable& table = classes_.page_table();
  // From here on the page gives out no chunk. It may have left the class since it was chosen.
  std::uint32_t chunks = 0;
  {
    const MutexLock lock(c.mutex());
    if (table.class_of(page) != c.id()) return false;
    // The other pages of the class may have left it, too. While this one is drained one of them
    // stays.
    const bool has_other = c.page_count() > 1 || table.at(page).used == 0;
    if (!has_other && only == OnlyPage::kStays) return false;
    chunks = table.at(page).carved;
    if (c.Drain(page)) return true;
  }
  // One chunk after the other. The class is unlocked between them, so that others can use it.
  for (std::uint32_t number = 0; number < chunks; ++number) {
    const ItemRef chunk = classes_.ChunkAt(c, page, number);
    UsedChunk used{.page = page, .chunk = chunk, .item = chunk};
    const Next next = LookAt(c, used);
    if (next == Next::kPageLeft) return true;
    if (next == Next::kIsFree) continue;
    if (next == Next::kIsBusy || !EmptyChunk(c, used, lane)) break;
  }
  // A chunk cannot be emptied: give up, unless the page has become empty in the meantime.
  const MutexLock lock(c.mutex());
  if (table.class_of(page) != c.id()) return true;
  c.Readmit(page);
  return false;
}

PageEvacuator::Next PageEvacuator::LookAt(SlabClass& c, UsedChunk& used) {
  const Arena& arena = classes_.arena();
  const PageTable& table = classes_.page_table();
  const MutexLock lock(c.mutex());
  // The page has left the class with its last chunk.
  if (table.class_of(used.page) != c.id()) return Next::kPageLeft;
  // A stocked chunk goes back to the page, which may be its last one.
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
  // The first chunk of a piece's item may lie in another class, and may be gone by now.
  SlabClass& item_class = used.is_piece() ? classes_.Largest() : c;
  const auto has_left = [&] {
    return classes_.page_table().class_of(classes_.arena().PageOf(ref)) != item_class.id();
  };
  const MutexLock lock(item_class.mutex());
  if (has_left()) return Seen::kGone;
  const Item& item = classes_.arena().At(ref);
  // Queues the item again, so that its key can be read, unless its lane has it.
  if (item.use() == ChunkUse::kLeaving) {
    magazines_.EmptyAll(item_class);
    if (has_left()) return Seen::kGone;
  }
  const ChunkUse use = item.use();
  // In use, or taken out by a lane.
  if (use == ChunkUse::kOwned || use == ChunkUse::kLeaving) return Seen::kBusy;
  if (!Item::IsSteady(use)) return Seen::kGone;
  // A copy, because the key cannot be read after the class is unlocked.
  key.bytes = item.key_bytes;
  std::memcpy(key.room.data(), item.payload(), key.bytes);
  return Seen::kItem;
}

bool PageEvacuator::EmptyChunk(SlabClass& c, const UsedChunk& used, Lane& lane) {
  const ItemRef ref = used.item;
  SeenKey key;
  // The bucket has to be locked without the class locked (lock order). So the key is copied with
  // the class locked, then the bucket is locked, and the item is looked for in it.
  const Seen seen = ReadKey(c, used, key);
  if (seen != Seen::kItem) return seen == Seen::kGone;
  pause_.At(Moment::kItemSeen);
  const std::uint64_t seen_hash = hash_(key.text());
  Index::BucketLock guard(index_, seen_hash);
  if (!guard.Find(seen_hash, ref)) return true;
  // The chunk has an item of this bucket, but perhaps another one by now.
  Item& item = classes_.arena().At(ref);
  const std::uint64_t hash = hash_(item.key());
  if (item.refs.load(std::memory_order_acquire) != 1) return false;
  const bool is_dead = liveness_.IsDead(item, lane);
  if (!is_dead) {
    const bool is_moved =
        used.is_piece() ? MovePiece(c, used, guard, lane) : MoveItem(c, used, guard, hash, lane);
    if (is_moved) return true;
    // The piece belongs to another item by now, so there is nothing to do.
    if (used.is_piece() && !IsPieceOf(c, used)) return true;
    // Without eviction, an item is removed only to enforce a lowered limit.
    const Arena& arena = classes_.arena();
    if (!allocator_.evicts() && arena.pages_in_use() <= arena.limit_pages()) return false;
  }
  const RemovalReason why = is_dead ? liveness_.CauseOfDeath(item, lane) : RemovalReason::kMoved;
  CountRemoved(item, why);
  // An eviction from this very bucket may have moved the slot, so it is looked for again.
  unlinker_.Unlink(guard, LockedItem(guard.Find(hash, ref), classes_.arena()), hash, why, lane);
  return true;
}

// Counts an item that is removed because its page is to be emptied.
void PageEvacuator::CountRemoved(const Item& item, RemovalReason why) {
  SlabClass& c = classes_.ById(classes_.IdOf(item));
  const MutexLock lock(c.mutex());
  ClassStats& stats = c.stats();
  if (why != RemovalReason::kMoved) {
    ++stats.reclaimed;
    return;
  }
  counters_.dropped_items.Add();
  ++stats.evicted;
  ++stats.evicted_for_page;
  if (item.expiry().is_set()) ++stats.evicted_nonzero;
  if (!item.was_fetched()) ++stats.evicted_unfetched;
}

// True if the chunk still is a piece of that item.
bool PageEvacuator::IsPieceOf(SlabClass& c, const UsedChunk& used) const {
  const MutexLock lock(c.mutex());
  const Item& piece = classes_.arena().At(used.chunk);
  return piece.use() == ChunkUse::kContinuation && piece.prev == used.item;
}

ItemRef PageEvacuator::AllocateElsewhere(SlabClass& c, const UsedChunk& used,
                                         const Index::Guard& held, Lane& lane) {
  const Arena& arena = classes_.arena();
  // Chunks that an eviction frees besides are freed when the class is unlocked.
  FreeLater free_later(classes_);
  const MutexLock lock(c.mutex());
  ItemRef ref = kNoItem;
  // First a free chunk, else that of an item that is evicted.
  for (int tries = 0; tries < kElsewhereTriesMax; ++tries) {
    ref = c.AllocateHere();
    if (ref != kNoItem || !allocator_.evicts()) break;
    const std::uint64_t evicted = c.stats().evicted;
    ref = allocator_.Evict(c, {.guard = &held, .kept = used.item}, lane, free_later);
    c.stats().evicted_for_page += c.stats().evicted - evicted;
    if (ref == kNoItem || arena.PageOf(ref) != used.page) break;
    // The chunk lies in the page that is being emptied: one less to empty.
    c.Free(ref);
    ref = kNoItem;
  }
  // With the class locked: from now on other threads see what the chunk is.
  if (ref != kNoItem && used.is_piece()) {
    arena.At(ref).set_use(ChunkUse::kContinuation);
    arena.At(ref).prev = used.item;
  }
  return ref;
}

bool PageEvacuator::MoveItem(SlabClass& c, const UsedChunk& used, Index::Guard& guard,
                             std::uint64_t hash, Lane& lane) {
  LARDER_ASSERT(guard.Holds(hash));
  const Arena& arena = classes_.arena();
  const Item& old = arena.At(used.item);
  LARDER_ASSERT(old.refs.load(std::memory_order_relaxed) == 1);
  // A chain is moved only if it is short, because its pieces have to be visited.
  int pieces = 0;
  for (ItemRef piece = old.first_continuation(); piece != kNoItem; piece = arena.At(piece).next) {
    if (++pieces > kMovedPiecesMax) return false;
  }
  const ItemRef ref = AllocateElsewhere(c, used, guard, lane);
  if (ref == kNoItem) return false;
  LARDER_ASSERT(arena.PageOf(ref) != used.page);
  Item& item = arena.At(ref);
  CopyItem(old, item);
  // Only page moves look from a piece to its item, so the pieces may be changed one by one.
  for (ItemRef piece = old.first_continuation(); piece != kNoItem; piece = arena.At(piece).next) {
    const MutexLock lock(classes_.Of(piece).mutex());
    arena.At(piece).prev = ref;
  }
  // The copy takes the place in the queue first, then the place in the index.
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
  LARDER_ASSERT(head.refs.load(std::memory_order_relaxed) == 1);
  Item* before = nullptr;
  ItemRef at = head.first_continuation();
  // Finds the piece in the chain of its item, and the piece before it.
  for (int pieces = 0; at != used.chunk; ++pieces) {
    // The item may be another one than the one that had the chunk.
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
  // Links the copy in the place of the piece.
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
