// How pages go from class to class.
#include <algorithm>
#include <array>
#include <cstring>

#include "slab/cache.h"
#include "slab/check.h"

namespace larder::slab {
namespace {

// What a call of BalancePages may do: it runs many times a second.
constexpr std::uint32_t kPagesPerTurnMax = 16;
constexpr std::uint32_t kChunksPerTurnMax = 1 << 13;
// Near ghosts of one class that end a round of the balancer.
constexpr std::uint64_t kUrgentGhosts = 8;
constexpr std::uint64_t kUrgentGhostsEager = 4;
// A move looks at so many pages of a class, and at so many chunks of those that are in use.
constexpr std::size_t kPagesLookedMax = 1024;
constexpr std::uint32_t kChunksLookedMax = 1 << 16;
constexpr std::size_t kPageTriesMax = 8;  // Pages of a class that turned out to be in use.
// Chunks that evictions free in the very page that is to be emptied, before a warm item of it finds
// one elsewhere: a page often holds the coldest items, side by side.
constexpr int kElsewhereTriesMax = 512;
// A piece of a longer chain is not copied: finding its place would hold the bucket for too long.
constexpr int kRelocatedPiecesMax = 256;

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

}  // namespace

PageMoveStats Cache::page_move_stats() const {
  return {.moved_items = moved_items_.value(),
          .moved_pieces = moved_pieces_.value(),
          .dropped_items = dropped_items_.value(),
          .busy_pages = busy_pages_.value(),
          .is_running = is_moving_.load(std::memory_order_relaxed)};
}

bool Cache::MakeRoom(SlabClass& needy, Lane& lane) {
  if (!evict_) return false;
  const MutexLock mover(mover_mutex_);
  return MovePage({.from = 0, .to = needy.id()}, lane);
}

void Cache::BalancePages(Lane& lane) {
  {
    const MutexLock mover(mover_mutex_);
    if (wanted_move_) MoveWanted(lane);
    const PageMoves moves = page_moves();
    if (moves == PageMoves::kOff || !evict_) {
      plan_ = {};
    } else if (plan_.pages == 0) {
      std::uint64_t stores = 0;
      ForEachLane([&](const Lane& other) { stores += other.total_items.value(); });
      const auto loads = Loads();
      const auto plan = balancer_.Observe(
          loads, stores, moves == PageMoves::kEager ? kUrgentGhostsEager : kUrgentGhosts);
      // A class that needs a page takes it from the arena while there is one.
      if (plan && arena_->pages_in_use() >= arena_->limit_pages()) plan_ = *plan;
    }
    std::uint32_t chunks = 0;
    for (std::uint32_t pages = 0; plan_.pages != 0 && pages < kPagesPerTurnMax; ++pages) {
      chunks += ClassById(plan_.from).chunks_per_page();
      if (pages != 0 && chunks > kChunksPerTurnMax) break;
      if (!MovePage({.from = plan_.from, .to = plan_.to}, lane)) plan_.pages = 1;
      --plan_.pages;
    }
    is_moving_.store(plan_.pages != 0 || wanted_move_, std::memory_order_relaxed);
  }
  TellIndex(lane);  // This lane may never store.
}

ReassignStatus Cache::Reassign(std::int64_t from, std::int64_t to) {
  constexpr std::int64_t kAny = -1;
  const auto is_class = [this](std::int64_t id) {
    return id >= 0 && id <= static_cast<std::int64_t>(ladder_.class_count());
  };
  if (from == to) return ReassignStatus::kSame;
  if (!is_class(to) || (from != kAny && !is_class(from))) return ReassignStatus::kBadClass;
  const MutexLock mover(mover_mutex_);
  if (wanted_move_) return ReassignStatus::kBusy;
  const auto to_id = static_cast<ClassId>(to);
  ClassId from_id = 0;
  if (from == kAny) {
    from_id = balancer_.ChooseDonor(Loads(), to_id, ClassSet(), 2);
    if (from_id == 0) return ReassignStatus::kBadClass;
  } else if (from == 0) {
    if (arena_->free_pages() == 0) return ReassignStatus::kNoSpare;
  } else {
    from_id = static_cast<ClassId>(from);
    if (!HasSparePage(ClassById(from_id))) return ReassignStatus::kNoSpare;
  }
  wanted_move_ = PageMove{.from = from_id, .to = to_id};
  is_moving_.store(true, std::memory_order_relaxed);
  return ReassignStatus::kStarted;
}

// As long as all pages of the class are in use, it stays wanted.
void Cache::MoveWanted(Lane& lane) {
  const PageMove move = *wanted_move_;
  if (move.from == 0) {
    wanted_move_.reset();
    const auto page = arena_->Take();
    if (!page) return;
    SlabClass& to = ClassById(move.to);
    const MutexLock lock(to.mutex());
    to.Adopt(*page);
    return;
  }
  if (!HasSparePage(ClassById(move.from)) || MovePage(move, lane)) wanted_move_.reset();
}

// A class can give a page: it keeps one, and without eviction it has free chunks enough.
bool Cache::HasSparePage(SlabClass& c) {
  const MutexLock lock(c.mutex());
  const std::uint64_t chunks = std::uint64_t{c.page_count()} * c.chunks_per_page();
  return c.page_count() >= 2 && (evict_ || c.used_chunks() + c.chunks_per_page() <= chunks);
}

std::vector<ClassLoad> Cache::Loads() {
  std::vector<ClassLoad> loads(classes_.size());
  for (std::size_t id = 1; id < classes_.size(); ++id) {
    SlabClass& c = ClassById(id);
    const MutexLock lock(c.mutex());
    const std::uint64_t chunks = std::uint64_t{c.page_count()} * c.chunks_per_page();
    const std::uint64_t items = c.queue().count();
    loads[id] = {
        .pages = c.page_count(),
        .spare_pages = static_cast<std::uint32_t>((chunks - c.used_chunks()) / c.chunks_per_page()),
        .near_ghosts = c.queue().near_ghosts(),
        .pieces_of = c.id() != ladder_.largest() && c.used_chunks() > 2 * items ? ladder_.largest()
                                                                                : ClassId{0}};
  }
  return loads;
}

bool Cache::MovePage(PageMove move, Lane& lane) {
  const auto loads = Loads();
  ClassSet refused;
  std::vector<PageIndex> busy;  // Of this donor.
  for (;;) {
    const ClassId from =
        move.from != 0 ? move.from : balancer_.ChooseDonor(loads, move.to, refused, 1);
    if (from == 0) return false;
    const auto page =
        busy.size() < kPageTriesMax ? ChoosePage(ClassById(from), busy) : std::nullopt;
    if (!page) {
      if (busy.empty()) busy_pages_.Add();
      if (move.from != 0) return false;
      refused.set(from);
      busy.clear();
      continue;
    }
    Pause(Moment::kPageChosen);
    if (!Evacuate(ClassById(from), *page, lane)) {
      busy_pages_.Add();
      busy.push_back(*page);
      continue;
    }
    pages_moved_.fetch_add(1, std::memory_order_relaxed);
    if (move.to == 0) {
      arena_->Return(*page);
    } else {
      SlabClass& to = ClassById(move.to);
      const MutexLock lock(to.mutex());
      to.Adopt(*page);
    }
    return true;
  }
}

// Of the pages that nobody seems to use, one with the fewest items; among equals in turn.
std::optional<PageIndex> Cache::ChoosePage(SlabClass& c, std::span<const PageIndex> busy) {
  struct Choice {
    std::uint32_t used;
    std::uint32_t order;
    PageIndex page;
  };
  std::vector<Choice> choices;
  choices.reserve(kPagesLookedMax);
  const PageIndex pages = arena_->touched_pages();
  const MutexLock lock(c.mutex());
  Settle(c);
  PageIndex page = mover_cursor_;
  for (PageIndex looked = 0; looked < pages && choices.size() < kPagesLookedMax; ++looked) {
    page = page + 1 < pages ? page + 1 : 0;
    if (page_table_.class_of(page) != c.id() || std::ranges::count(busy, page) != 0) continue;
    choices.push_back({.used = page_table_.at(page).used,
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
      mover_cursor_ = choice.page;
      return choice.page;
    }
    chunks += page_table_.at(choice.page).carved;
  }
  mover_cursor_ = page;
  return std::nullopt;
}

// False if a chunk of the page is reserved or pinned, as far as this class can tell.
bool Cache::MayEmpty(SlabClass& c, PageIndex page) const {
  const auto is_in_use = [](const Item& item) {
    return item.use() == ChunkUse::kOwned ||
           (item.is_linked() && item.refs.load(std::memory_order_relaxed) != 1);
  };
  const std::uint32_t carved = page_table_.at(page).carved;
  for (std::uint32_t number = 0; number < carved; ++number) {
    const std::byte* chunk = arena_->PageAt(page) + std::size_t{number} * c.chunk_bytes();
    const Item& item = arena_->At(arena_->RefOf(chunk));
    if (is_in_use(item)) return false;
    // The head of a piece may be gone already, its page to another class.
    const bool has_head_here = item.use() == ChunkUse::kContinuation &&
                               c.id() == ladder_.largest() &&
                               page_table_.class_of(arena_->PageOf(item.prev)) == c.id();
    if (has_head_here && is_in_use(arena_->At(item.prev))) return false;
  }
  return true;
}

// Takes all items out of a page and the page out of its class: then it is the caller's. False if
// somebody still uses a chunk of it: then the page stays. False too if it has left the class since
// it was chosen, for with its last chunk it goes back to the arena by itself.
bool Cache::Evacuate(SlabClass& c, PageIndex page, Lane& lane) {
  std::uint32_t chunks = 0;
  {
    const MutexLock lock(c.mutex());
    if (page_table_.class_of(page) != c.id()) return false;
    chunks = page_table_.at(page).carved;
    if (c.Drain(page)) return true;
  }
  for (std::uint32_t number = 0; number < chunks; ++number) {
    const ItemRef chunk =
        arena_->RefOf(arena_->PageAt(page) + std::size_t{number} * c.chunk_bytes());
    ItemRef item = chunk;
    {
      const MutexLock lock(c.mutex());
      // With the last chunk the page has left.
      if (page_table_.class_of(page) != c.id()) return true;
      if (arena_->At(chunk).use() == ChunkUse::kStocked) Settle(c);
      if (page_table_.class_of(page) != c.id()) return true;
      const ChunkUse use = arena_->At(chunk).use();
      if (use == ChunkUse::kFree) continue;
      if (use == ChunkUse::kOwned) break;
      if (use == ChunkUse::kContinuation) item = arena_->At(chunk).prev;
    }
    if (!EmptyChunk(c, {.page = page, .chunk = chunk, .item = item}, lane)) break;
  }
  const MutexLock lock(c.mutex());
  if (page_table_.class_of(page) != c.id()) return true;
  c.Readmit(page);
  return false;
}

// Moves the item that has the chunk elsewhere, or evicts it. False if somebody uses it.
bool Cache::EmptyChunk(SlabClass& c, const Tenant& tenant, Lane& lane) {
  const ItemRef ref = tenant.item;
  std::array<char, 255> key;
  std::size_t key_bytes = 0;
  {
    // The head of a piece may lie in another class, and may be gone by now.
    SlabClass& item_class = ref == tenant.chunk ? c : ClassById(ladder_.largest());
    const MutexLock lock(item_class.mutex());
    if (ClassOf(ref).id() != item_class.id()) return true;
    const Item& item = arena_->At(ref);
    if (item.use() == ChunkUse::kLeaving) {
      Settle(item_class);
      if (ClassOf(ref).id() != item_class.id()) return true;
    }
    const ChunkUse use = item.use();
    if (use == ChunkUse::kOwned || use == ChunkUse::kLeaving) return false;  // A lane has it.
    if (!Item::IsSteady(use)) return true;
    key_bytes = item.key_bytes;
    std::memcpy(key.data(), item.payload(), key_bytes);
  }
  Pause(Moment::kTenantSeen);
  const std::uint64_t seen_hash = Hash({key.data(), key_bytes});
  Index::Guard guard = index_->Lock(seen_hash);
  const Index::Slot slot = guard.Find(seen_hash, ref);
  if (!slot) return true;
  // It is of this bucket, but may be another item by now.
  const std::uint64_t hash = Hash(arena_->At(ref).key());
  Item& item = arena_->At(ref);
  if (item.refs.load(std::memory_order_acquire) != 1) return false;
  const bool is_dead = IsDead(item, lane);
  if (!is_dead) {
    const bool is_moved = ref == tenant.chunk ? RelocateItem(c, tenant, guard, hash, lane)
                                              : RelocatePiece(c, tenant, guard, lane);
    if (is_moved) return true;
    if (ref != tenant.chunk && !IsPieceOf(c, tenant))
      return true;  // The head was another's by now.
    // Without eviction, only a lowered limit takes items.
    if (!evict_ && arena_->pages_in_use() <= arena_->limit_pages()) return false;
  }
  {
    SlabClass& item_class = ClassOf(ref);
    const MutexLock lock(item_class.mutex());
    ClassStats& stats = item_class.stats();
    if (is_dead) {
      ++stats.reclaimed;
    } else {
      dropped_items_.Add();
      ++stats.evicted;
      ++stats.evicted_for_page;
      if (item.expiry().is_set()) ++stats.evicted_nonzero;
      if (!item.was_fetched()) ++stats.evicted_unfetched;
    }
  }
  // An eviction from this very bucket may have moved the slot.
  Retire(guard, guard.Find(hash, ref), hash,
         is_dead ? CauseOfDeath(item, lane) : RemovalReason::kMoved, lane);
  return true;
}

bool Cache::IsPieceOf(SlabClass& c, const Tenant& tenant) const {
  const MutexLock lock(c.mutex());
  const Item& piece = arena_->At(tenant.chunk);
  return piece.use() == ChunkUse::kContinuation && piece.prev == tenant.item;
}

// A chunk of the class in another page: a free one, or that of the item that is the next to go. So
// the class loses its coldest items with the page, not those that happen to lie in it.
ItemRef Cache::AllocateElsewhere(SlabClass& c, const Tenant& tenant, const Index::Guard& held,
                                 Lane& lane) {
  ItemRef leftovers = kNoItem;
  ItemRef ref = kNoItem;
  {
    const MutexLock lock(c.mutex());
    for (int tries = 0; tries < kElsewhereTriesMax; ++tries) {
      ref = c.AllocateHere();
      if (ref != kNoItem || !evict_) break;
      const std::uint64_t evicted = c.stats().evicted;
      ref = Evict(c, &held, tenant.item, lane, leftovers);
      c.stats().evicted_for_page += c.stats().evicted - evicted;
      if (ref == kNoItem || arena_->PageOf(ref) != tenant.page) break;
      c.Free(ref);  // One chunk less to empty.
      ref = kNoItem;
    }
    if (ref != kNoItem && tenant.item != tenant.chunk) {
      arena_->At(ref).set_use(ChunkUse::kContinuation);
      arena_->At(ref).prev = tenant.item;
    }
  }
  FreeList(leftovers);
  return ref;
}

bool Cache::RelocateItem(SlabClass& c, const Tenant& tenant, Index::Guard& guard,
                         std::uint64_t hash, Lane& lane) {
  const Item& old = arena_->At(tenant.item);
  int pieces = 0;
  for (ItemRef piece = old.first_continuation(); piece != kNoItem; piece = arena_->At(piece).next) {
    if (++pieces > kRelocatedPiecesMax) return false;
  }
  const ItemRef ref = AllocateElsewhere(c, tenant, guard, lane);
  if (ref == kNoItem) return false;
  Item& item = arena_->At(ref);
  CopyItem(old, item);
  // Only whoever moves pages looks from a piece to its item.
  for (ItemRef piece = old.first_continuation(); piece != kNoItem; piece = arena_->At(piece).next) {
    const MutexLock lock(ClassOf(piece).mutex());
    arena_->At(piece).prev = ref;
  }
  {
    const MutexLock lock(c.mutex());
    c.queue().Relocate(tenant.item, ref);
    c.Free(tenant.item);
  }
  guard.Replace(guard.Find(hash, tenant.item), ref);
  moved_items_.Add();
  return true;
}

bool Cache::RelocatePiece(SlabClass& c, const Tenant& tenant, const Index::Guard& guard,
                          Lane& lane) {
  Item& head = arena_->At(tenant.item);
  Item* before = nullptr;
  ItemRef at = head.first_continuation();
  for (int pieces = 0; at != tenant.chunk; ++pieces) {
    // The item may be another than the one that had the chunk.
    if (at == kNoItem) return true;
    if (pieces == kRelocatedPiecesMax) return false;
    before = &arena_->At(at);
    at = before->next;
  }
  const ItemRef ref = AllocateElsewhere(c, tenant, guard, lane);
  if (ref == kNoItem) return false;
  Item& old = arena_->At(tenant.chunk);
  Item& piece = arena_->At(ref);
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
  c.Free(tenant.chunk);
  moved_pieces_.Add();
  return true;
}

}  // namespace larder::slab
