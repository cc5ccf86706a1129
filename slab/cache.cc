#include "slab/cache.h"

#include <algorithm>
#include <cstring>
#include <system_error>

#include "slab/check.h"

namespace larder::slab {
namespace {

constexpr std::uint64_t kCasRange = 4096;  // Numbers that a lane takes at a time.
constexpr std::uint64_t kCasAgeMax = std::uint64_t{1} << (Item::kNumberBits - 2);
constexpr int kItemsToldAt = 16;  // Changes that a lane gathers before it tells the index.
constexpr std::size_t kPrefaultItemBytes = 144;  // A 20 B key with a 100 B value.

static_assert(kPageBytes / 2 - sizeof(Item) < Item::kIsChained);

std::size_t SizeStep(std::size_t item_bytes) {
  return (item_bytes + kSizeStepBytes - 1) / kSizeStepBytes;
}

}  // namespace

Result<std::unique_ptr<Cache>, std::string> Cache::Create(const Options& options) {
  return options.memory_file.empty() ? Build(options, nullptr) : CreateOnFile(options);
}

Result<std::unique_ptr<Cache>, std::string> Cache::Build(const Options& options,
                                                         std::unique_ptr<MemoryFile> memory_file) {
  auto arena = Arena::Create({.limit_bytes = options.memory_bytes,
                              .lock_memory = options.lock_memory,
                              .prefault = options.prefault,
                              .file = memory_file.get()});
  if (!arena) return Failure{arena.error()};
  SizeLadder ladder({.chunk_bytes_min = sizeof(Item) + options.chunk_room_min,
                     .growth_factor = options.growth_factor.value_or(kGrowthFactorDefault),
                     .has_fine_steps = !options.growth_factor.has_value(),
                     .unit_bytes = (*arena)->unit_bytes()});
  const std::uint64_t items_max =
      (std::uint64_t{(*arena)->capacity_pages()} << kPageShift) / ladder.chunk_bytes(1);
  auto index = Index::Create(items_max);
  if (!index) return Failure{index.error()};
  if (options.prefault) (*index)->PrefaultFor(options.memory_bytes / kPrefaultItemBytes);
  PageTable page_table((*arena)->capacity_pages());
  if (!page_table.ok()) return Failure{std::string("cannot reserve memory for the page table")};
  std::unique_ptr<Cache> cache;
  try {
    cache.reset(new Cache(options, std::move(memory_file), std::move(*arena), std::move(*index),
                          std::move(ladder), std::move(page_table)));
  } catch (const std::system_error& error) {
    return Failure{std::string("cannot start a thread for memory: ") + error.what()};
  }
  if (!cache->removal_records_.ok()) {
    return Failure{std::string("cannot reserve memory for departures")};
  }
  return cache;
}

Cache::Cache(const Options& options, std::unique_ptr<MemoryFile> memory_file,
             std::unique_ptr<Arena> arena, std::unique_ptr<Index> index, SizeLadder ladder,
             PageTable page_table)
    : hash_seed_(options.hash_seed),
      forbidden_key_(options.forbidden_key),
      forbidden_hash_(HashKey(options.forbidden_key, options.hash_seed)),
      item_bytes_max_(options.item_bytes_max),
      evict_(options.evict),
      track_sizes_(options.track_sizes),
      pause_(options.pause),
      memory_file_(std::move(memory_file)),
      arena_(std::move(arena)),
      index_(std::move(index)),
      ladder_(std::move(ladder)),
      page_table_(std::move(page_table)),
      removal_records_(
          options.memory_bytes / 100 * kRemovalRecordsPercent,
          (std::uint64_t{arena_->capacity_pages()} << kPageShift) / 100 * kRemovalRecordsPercent),
      policy_(options.eviction),
      page_moves_(options.page_moves),
      warmer_(options.prefault ? nullptr : std::make_unique<MemoryWarmer>(Growing())) {
  for (std::size_t id = 0; id <= ladder_.class_count(); ++id) {
    const auto class_id = static_cast<ClassId>(id);
    const std::uint32_t bytes = ladder_.chunk_bytes(std::max<ClassId>(class_id, 1));
    classes_.push_back(std::make_unique<SlabClass>(class_id, bytes, *arena_, page_table_));
  }
  SetEvictionPolicy(options.eviction);
}

Cache::~Cache() = default;

std::vector<GrowingMemory*> Cache::Growing() {
  std::vector<GrowingMemory*> growing = {&index_->growing_buckets(), &index_->growing_overflow()};
  // That of a file is there from the start, or was given back to stay so.
  if (memory_file_ == nullptr) growing.push_back(&arena_->growing());
  return growing;
}

Lane& Cache::AddLane() {
  const MutexLock lock(lanes_mutex_);
  Lane& lane = lanes_.emplace_back();
  if (track_sizes_)
    lane.sizes = std::vector<Counter>(SizeStep(item_bytes_max_ + Item::kExpiryBytes) + 1);
  return lane;
}

Index::Slot Cache::FindAlive(Index::Guard& guard, const HashedKey& key, Lane& lane) {
  const Index::Slot slot = FindKey(guard, key);
  if (slot && IsDead(arena_->At(slot.ref()), lane)) [[unlikely]] {
    (void)RetireDead(guard, slot, lane);
    return {};
  }
  return slot;
}

std::optional<StoreStatus> Cache::Refusal(StoreMode mode, const Item* old,
                                          std::uint64_t cas_unique) noexcept {
  switch (mode) {
    case StoreMode::kSet:
      return std::nullopt;
    case StoreMode::kAdd:
      if (old != nullptr) return StoreStatus::kNotStored;
      return std::nullopt;
    case StoreMode::kReplace:
    case StoreMode::kAppend:
    case StoreMode::kPrepend:
      if (old == nullptr) return StoreStatus::kNotStored;
      return std::nullopt;
    case StoreMode::kCas:
      if (old == nullptr) return StoreStatus::kNotFound;
      if (old->cas() != cas_unique) return StoreStatus::kExists;
      return std::nullopt;
    case StoreMode::kUnchanged:
      if (old == nullptr) return StoreStatus::kNotFound;
      if (old->number() != cas_unique) return StoreStatus::kExists;
      return std::nullopt;
  }
  return std::nullopt;
}

bool Cache::IsOlder(std::uint64_t cas_unique, const Item& item) const noexcept {
  if (item.has_chosen_cas()) return cas_unique < item.cas();
  // Lanes draw numbers from ranges of their own, so that of a later write may be the smaller one.
  // But a number that was given out and is not this item's can only be that of an earlier version.
  return cas_unique < cas_unused_.load(std::memory_order_relaxed);
}

StoreOutcome Cache::Store(StoreMode mode, const ItemSpec& spec, std::string_view value,
                          std::uint64_t cas_unique, Lane& lane) {
  if (!evict_ && !spec.can_expire()) [[unlikely]]
    return StoreWithRoom(mode, spec, value, cas_unique, lane);
  const std::size_t bytes = ItemBytes(spec);
  const bool is_small = bytes <= std::min(ladder_.chunk_bytes_max(), item_bytes_max_);
  if (is_small && mode != StoreMode::kAppend && mode != StoreMode::kPrepend) [[likely]] {
    return StoreSmall(mode, spec, bytes, value, cas_unique, lane);
  }
  auto reserved = Reserve(spec, lane);
  if (!reserved) {
    if (mode == StoreMode::kSet) DropRefused(spec.key, reserved.error(), lane);
    return {.status = reserved.error()};
  }
  reserved->value().Write(value);
  return Publish(std::move(*reserved), mode, cas_unique, lane);
}

StoreOutcome Cache::StoreWithRoom(StoreMode mode, ItemSpec spec, std::string_view value,
                                  std::uint64_t cas_unique, Lane& lane) {
  spec.has_expiry_room = true;
  return Store(mode, spec, value, cas_unique, lane);
}

StoreOutcome Cache::StoreSmall(StoreMode mode, const ItemSpec& spec, std::size_t bytes,
                               std::string_view value, std::uint64_t cas_unique, Lane& lane) {
  const HashedKey& key = spec.key;
  SlabClass& c = ClassById(ladder_.ClassFor(bytes));
  for (int tries = 0;; ++tries) {
    Index::Guard guard = index_->Lock(key.hash);
    // Drawn under the lock: a number from before a flush could kill what was stored after it.
    const std::uint64_t cas = NextCas(lane);
    const Index::Slot slot = FindAlive(guard, key, lane);
    const ItemRef old_ref = slot ? slot.ref() : kNoItem;
    Item* const old = slot ? &arena_->At(old_ref) : nullptr;
    const ClassId old_class = slot ? ClassOf(*old) : ClassId{0};
    if (mode != StoreMode::kSet) {
      const auto refusal = Refusal(mode, old, cas_unique);
      if (refusal) [[unlikely]] {
        if (mode == StoreMode::kAdd) MarkUse(*old, lane);
        return {.status = *refusal, .class_id = old_class};
      }
      // A store that depends on what is there is a use of it; a plain set says nothing about that.
      if (old != nullptr) NoteUse(*old, old_class);
    }

    // The commonest store needs no class lock: the new value takes the old one's place.
    if (old != nullptr && old_class == c.id() && MayRewrite(*old)) {
      CountResized(ItemBytes(*old), bytes, c.id(), lane);
      std::byte* const to = FillHeader(*old, spec, spec.value_bytes, lane);
      if (eviction_policy() == EvictionPolicy::kLru) [[unlikely]]
        MoveToFront(*old);
      old->set_number(cas);
      std::memcpy(to, value.data(), value.size());
      lane.total_items.Add();
      return {.status = StoreStatus::kStored, .class_id = c.id(), .cas = cas & Item::kNumberMask};
    }

    if (IsForbidden(key)) [[unlikely]]
      return {.status = StoreStatus::kForbidden};
    ItemRef leftovers = kNoItem;
    ItemRef ref = kNoItem;
    if (old == nullptr && c.batch() > 1 && eviction_policy() == EvictionPolicy::kSegmented) {
      ref = TakeStocked(c, guard, lane, leftovers);
      if (ref != kNoItem) {
        Item& item = arena_->At(ref);
        item.key_bytes = static_cast<std::uint8_t>(key.bytes.size());
        std::memcpy(item.payload(), key.bytes.data(), key.bytes.size());
        item.set_eviction_state(EvictionState::Born(c.clock().tick()));
        lane.magazines[c.id()]->Put(ref, item, key.hash);
        c.PrefetchGhosts(key.hash);
      }
    }
    if (ref == kNoItem) {
      const MutexLock lock(c.mutex());
      ref = AllocateOrEvict(c, &guard, old_ref, lane, leftovers);
      if (ref != kNoItem) {
        // The key must be there before the item is queued: whoever evicts reads it.
        Item& item = arena_->At(ref);
        item.key_bytes = static_cast<std::uint8_t>(key.bytes.size());
        std::memcpy(item.payload(), key.bytes.data(), key.bytes.size());
        if (old == nullptr) {
          c.queue().Insert(ref, key.hash);
        } else if (old_class != c.id()) {
          c.queue().InsertAs(ref, old->eviction_state());
        } else {
          CountUnlinked(*old, c.id(), lane);
          c.queue().Replace(old_ref, ref);
          if (old->DropReference()) {
            if (old->is_chained()) {
              old->next = leftovers;
              leftovers = old_ref;
            } else {
              c.Free(old_ref);
            }
          }
        }
      }
    }
    if (ref == kNoItem) {
      guard.Unlock();
      FreeList(leftovers);
      if (tries < kMakeRoomTriesMax && MakeRoom(c, lane)) continue;
      {
        const MutexLock lock(c.mutex());
        ++c.stats().out_of_memory;
      }
      if (mode == StoreMode::kSet) DropRefused(key, StoreStatus::kNoMemory, lane);
      return {.status = StoreStatus::kNoMemory, .class_id = c.id()};
    }

    Item& item = arena_->At(ref);
    std::byte* const to = FillHeader(item, spec, spec.value_bytes, lane);
    item.set_number(cas);
    std::memcpy(to, value.data(), value.size());
    if (old != nullptr) {
      // An eviction from this very bucket may have moved the slot.
      guard.Replace(guard.Find(key.hash, old_ref), ref);
      if (old_class != c.id()) {
        SlabClass& other = ClassById(old_class);
        CountUnlinked(*old, old_class, lane);
        const MutexLock lock(other.mutex());
        other.queue().Remove(old_ref);
        if (old->DropReference()) {
          old->next = leftovers;
          leftovers = old_ref;
        }
      }
    } else {
      guard.Insert(key.hash, ref);
      ++lane.items_untold;
    }
    CountLinked(item, c.id(), lane);
    lane.total_items.Add();
    guard.Unlock();
    FreeList(leftovers);
    TellIndex(lane);
    return {.status = StoreStatus::kStored, .class_id = c.id(), .cas = cas & Item::kNumberMask};
  }
}

Result<ReservedItem, StoreStatus> Cache::Reserve(const ItemSpec& spec, Lane& lane,
                                                 std::optional<std::uint64_t> chosen_cas) {
  if (const auto refusal = NeverStored(spec)) return Failure{*refusal};
  return ReserveChunks(spec, chosen_cas, {}, lane);
}

Result<ReservedItem, StoreStatus> Cache::ReserveChunks(ItemSpec spec,
                                                       std::optional<std::uint64_t> chosen_cas,
                                                       const Held& held, Lane& lane) {
  if (!evict_) spec.has_expiry_room = true;  // So that a touch needs no memory.
  const std::size_t cas_bytes = chosen_cas ? Item::kChosenCasBytes : 0;
  const std::size_t bytes = ItemBytes(spec) + cas_bytes;
  const bool is_chained = bytes > ladder_.chunk_bytes_max();
  SlabClass& c = ClassById(is_chained ? ladder_.largest() : ladder_.ClassFor(bytes));
  const ItemRef head_ref = AllocateChunk(c, kNoItem, held, lane);
  if (head_ref == kNoItem) return Failure{StoreStatus::kNoMemory};
  ReservedItem reserved(this, head_ref, spec.key.hash);

  Item& head = arena_->At(head_ref);
  head.key_bytes = static_cast<std::uint8_t>(spec.key.bytes.size());
  std::memcpy(head.payload(), spec.key.bytes.data(), spec.key.bytes.size());
  if (!is_chained) {
    (void)FillHeader(head, spec, spec.value_bytes, lane);
    if (chosen_cas) head.SetChosenCas(*chosen_cas);
    return reserved;
  }

  const std::size_t overhead =
      Item::OverheadBytes(head.key_bytes, spec.client_flags != 0, spec.can_expire());
  std::size_t left = spec.value_bytes;
  const auto here = static_cast<std::uint32_t>(std::min<std::size_t>(
      ladder_.chunk_bytes_max() - overhead - Item::kChainBytes - cas_bytes, left));
  (void)FillHeader(head, spec, 0, lane);
  head.SetChain(kNoItem, spec.value_bytes, here);
  if (chosen_cas) head.SetChosenCas(*chosen_cas);
  left -= here;
  Item* last = nullptr;
  while (left > 0) {
    const std::size_t room = ladder_.chunk_bytes_max() - sizeof(Item);
    const std::size_t take = std::min(left, room);
    SlabClass& piece_class = ClassById(ladder_.ClassFor(sizeof(Item) + take));
    const ItemRef ref = AllocateChunk(piece_class, head_ref, held, lane);
    if (ref == kNoItem) return Failure{StoreStatus::kNoMemory};  // Frees what there is.
    Item& piece = arena_->At(ref);
    piece.key_bytes = 0;
    piece.next = kNoItem;
    piece.SetShape({}, static_cast<std::uint32_t>(take));
    if (last == nullptr) {
      head.SetChain(ref, spec.value_bytes, here);
    } else {
      last->next = ref;
    }
    last = &piece;
    left -= take;
  }
  return reserved;
}

std::uint64_t Cache::ReservedBytes(ItemSpec spec, bool has_chosen_cas) const noexcept {
  const auto share_of_page = [this](std::size_t bytes) -> std::uint64_t {
    return kPageBytes / (kPageBytes / ladder_.chunk_bytes(ladder_.ClassFor(bytes)));
  };
  if (!evict_) spec.has_expiry_room = true;
  const std::size_t bytes = ItemBytes(spec) + (has_chosen_cas ? Item::kChosenCasBytes : 0);
  const std::size_t chunk_bytes = ladder_.chunk_bytes_max();
  if (bytes <= chunk_bytes) return share_of_page(bytes);
  // One is full of the head, the others of pieces.
  const std::size_t left = bytes + Item::kChainBytes - chunk_bytes;
  const std::size_t room = chunk_bytes - sizeof(Item);
  const std::size_t rest = left % room;
  return (1 + left / room) * share_of_page(chunk_bytes) +
         (rest != 0 ? share_of_page(sizeof(Item) + rest) : 0);
}

StoreOutcome Cache::Publish(ReservedItem item, const PublishTerms& terms, Lane& lane) {
  if (terms.mode != StoreMode::kAppend && terms.mode != StoreMode::kPrepend) {
    return PublishWhole(item, terms, lane);
  }
  // Another round is needed only if another client has stored the key meanwhile, and yet another
  // has removed it again.
  for (;;) {
    const StoreOutcome joined = Concatenate(item, terms, lane);
    if (joined.status != StoreStatus::kNotFound) return joined;
    if (!terms.creates) return {.status = StoreStatus::kNotStored};
    const std::uint32_t value_bytes = item.value_bytes();
    StoreOutcome created = PublishWhole(item, {.mode = StoreMode::kAdd}, lane);
    created.joined_bytes = value_bytes;
    if (created.status == StoreStatus::kStored) return created;
  }
}

StoreOutcome Cache::PublishWhole(ReservedItem& item, const PublishTerms& terms, Lane& lane) {
  const HashedKey key = item.key();
  StoreOutcome outcome;
  {
    Index::Guard guard = index_->Lock(key.hash);
    const Index::Slot slot = FindAlive(guard, key, lane);
    Item* const old = slot ? &arena_->At(slot.ref()) : nullptr;
    const auto refusal = Refusal(terms.mode, old, terms.cas_unique);
    const bool is_late = refusal == StoreStatus::kExists && terms.is_stale_allowed &&
                         IsOlder(terms.cas_unique, *old);
    if (refusal && !is_late) {
      if (terms.mode == StoreMode::kAdd) MarkUse(*old, lane);
      return {.status = *refusal, .class_id = old != nullptr ? ClassOf(*old) : ClassId{0}};
    }
    if (terms.keeps_expiry && !arena_->At(item.ref_).SetExpiry(old->expiry())) {
      return {.status = StoreStatus::kExists, .class_id = ClassOf(*old)};
    }
    if (old != nullptr && terms.mode != StoreMode::kSet && terms.mode != StoreMode::kUnchanged) {
      NoteUse(*old, ClassOf(*old));
    }
    const ItemRef ref = item.Release();
    Item& fresh = arena_->At(ref);
    fresh.set_number(NextCas(lane));
    if (is_late) {
      fresh.size_and_state |= Item::kIsStale | (old->size_and_state & Item::kIsWon);
      LARDER_CHECK(fresh.SetExpiry(old->expiry()));
    }
    outcome = {.status = StoreStatus::kStored, .class_id = ClassOf(fresh), .cas = fresh.cas()};
    if (terms.mode == StoreMode::kUnchanged) outcome.expiry = old->expiry();
    Link(guard, key.hash, slot, ref, lane);
    lane.total_items.Add();
  }
  TellIndex(lane);
  return outcome;
}

void Cache::Link(Index::Guard& guard, std::uint64_t hash, Index::Slot old, ItemRef ref,
                 Lane& lane) {
  SlabClass& c = ClassOf(ref);
  if (!old) {
    guard.Insert(hash, ref);
    ++lane.items_untold;
    const MutexLock lock(c.mutex());
    c.queue().Insert(ref, hash);
  } else {
    const ItemRef old_ref = old.ref();
    Item& gone = arena_->At(old_ref);
    SlabClass& old_class = ClassOf(old_ref);
    CountUnlinked(gone, old_class.id(), lane);
    guard.Replace(old, ref);
    if (&old_class == &c) {
      const MutexLock lock(c.mutex());
      c.queue().Replace(old_ref, ref);
    } else {
      const EvictionState state = gone.eviction_state();
      {
        const MutexLock lock(old_class.mutex());
        old_class.queue().Remove(old_ref);
      }
      const MutexLock lock(c.mutex());
      c.queue().InsertAs(ref, state);
    }
    if (gone.DropReference()) FreeChunks(old_ref);
  }
  CountLinked(arena_->At(ref), c.id(), lane);
  // Its value may have taken long to come: the one who chose the expiry counted it before.
  if (arena_->At(ref).expiry().is_set()) lane.expiries.Add();
}

std::optional<ClassId> Cache::Delete(const HashedKey& key, Lane& lane) {
  Index::Guard guard = index_->Lock(key.hash);
  const Index::Slot slot = FindAlive(guard, key, lane);
  if (!slot) return std::nullopt;
  const ClassId id = ClassOf(arena_->At(slot.ref()));
  Retire(guard, slot, key.hash, RemovalReason::kDeleted, lane);
  guard.Unlock();
  TellIndex(lane);
  return id;
}

void Cache::DropRefused(const HashedKey& key, StoreStatus why, Lane& lane) {
  if (why != StoreStatus::kTooLarge && why != StoreStatus::kNoMemory) return;
  const RemovalReason reason =
      why == StoreStatus::kTooLarge ? RemovalReason::kTooLarge : RemovalReason::kNoMemory;
  Index::Guard guard = index_->Lock(key.hash);
  const Index::Slot slot = FindAlive(guard, key, lane);
  if (!slot) {
    // Who misses the key now wants to know that it was set in vain; but what is known of an item
    // that left for the same reason stays.
    const auto known = removal_records_.Find(key.hash, lane.now_s);
    if (known && known->reason == reason) return;
    return removal_records_.Add(key.hash, {.reason = reason}, lane.now_s);
  }
  Retire(guard, slot, key.hash, reason, lane);
  guard.Unlock();
  TellIndex(lane);
}

DeleteOutcome Cache::DeleteIfUnchanged(const HashedKey& key, std::uint64_t cas_unique, Lane& lane) {
  Index::Guard guard = index_->Lock(key.hash);
  const Index::Slot slot = FindAlive(guard, key, lane);
  if (!slot) return {.status = DeleteStatus::kNotFound};
  const Item& item = arena_->At(slot.ref());
  if (item.cas() != cas_unique) return {.status = DeleteStatus::kExists};
  const ClassId id = ClassOf(item);
  Retire(guard, slot, key.hash, RemovalReason::kDeleted, lane);
  guard.Unlock();
  TellIndex(lane);
  return {.status = DeleteStatus::kDeleted, .class_id = id};
}

void Cache::FlushAll() noexcept {
  const MutexLock lock(number_mutex_);
  // Every lane's range begins below the cutoff, so each takes a new one at its next write.
  const std::uint64_t cutoff = cas_unused_.fetch_add(1, std::memory_order_relaxed) + 1;
  // In this order: who sees that something was flushed draws no number that is flushed too.
  RaiseTo(range_floor_, cutoff);
  RaiseTo(flush_cas_, cutoff);
  flush_cutoff_.store(cutoff, std::memory_order_release);
}

void Cache::RaiseTo(std::atomic<std::uint64_t>& bound, std::uint64_t number) noexcept {
  std::uint64_t seen = bound.load(std::memory_order_relaxed);
  while (seen < number && !bound.compare_exchange_weak(seen, number, std::memory_order_release,
                                                       std::memory_order_relaxed)) {
  }
}

void Cache::Tick(std::uint32_t now_s) noexcept {
  // Every lane takes a new range at its next write.
  const std::uint64_t unused = cas_unused_.load(std::memory_order_relaxed);
  RaiseTo(range_floor_, unused);
  write_times_.Note(now_s, unused);
  removal_records_.ForgetOld(now_s);
}

void Cache::RefillCas(Lane& lane) noexcept {
  const MutexLock lock(number_mutex_);
  const std::uint64_t cutoff = flush_cutoff_.load(std::memory_order_relaxed);
  if (lane.flush_floor.load(std::memory_order_relaxed) != cutoff) KnowFlush(lane, cutoff);
  lane.cas_next = cas_unused_.fetch_add(kCasRange, std::memory_order_relaxed);
  lane.cas_end = lane.cas_next + kCasRange;
  // Items keep 48 bits. One that was not written for 7e13 writes counts as flushed, so that what is
  // alive is never more than half of the numbers apart.
  if (lane.cas_next > kCasAgeMax) {
    RaiseTo(range_floor_, lane.cas_next - kCasAgeMax);
    RaiseTo(flush_cas_, lane.cas_next - kCasAgeMax);
  }
}

ItemHandle Cache::Pin(Item& item) noexcept {
  const ItemRef ref = arena_->RefOf(&item);
  // Only the holder of the bucket's lock adds references, so the header's cannot overflow. The last
  // one is for all that extra_pins_ counts.
  const bool is_extra = item.refs.load(std::memory_order_relaxed) >= kRefsMax - 1;
  if (is_extra) [[unlikely]] {
    extra_pins_.Add(ref, item);
  } else {
    item.AddReference();
  }
  return {this, ref, is_extra};
}

void Cache::Unpin(ItemRef ref, bool is_extra) noexcept {
  Item& item = arena_->At(ref);
  const bool is_last = is_extra ? extra_pins_.Remove(ref, item) : item.DropReference();
  if (is_last) FreeChunks(ref);
}

void Cache::FreeChunks(ItemRef ref) {
  Item& item = arena_->At(ref);
  item.next = kNoItem;
  FreeList(ref);
}

void Cache::FreeList(ItemRef first) {
  while (first != kNoItem) {
    Item& chunk = arena_->At(first);
    const ItemRef next = chunk.next;
    const ItemRef continuation = chunk.first_continuation();
    SlabClass& c = ClassOf(first);
    {
      const MutexLock lock(c.mutex());
      c.Free(first);
    }
    if (continuation != kNoItem) FreeList(continuation);
    first = next;
  }
}

void Cache::TellIndex(Lane& lane) noexcept {
  if (lane.items_untold < kItemsToldAt && lane.items_untold > -kItemsToldAt) return;
  index_->Grow(lane.items_untold);
  lane.items_untold = 0;
}

// --- What is alive -------------------------------------------------------------------------------
//
// A flush removes nothing, so a lane's gauges of items and bytes fall only as dead ones are
// removed. Beside them it keeps how much of what it counted is dead: all of it when it hears of a
// flush, and from then on what has a number below that flush's cutoff. To which side a number
// belongs, all lanes agree on, so an item may be counted by one and taken off by another. A lane
// that has not heard of the last flush has counted nothing that is alive: whatever has a number
// from after the flush is counted by one who has heard.
//
// An item that is overwritten in place needs no look at this: its old and its new number lie on the
// same side of every cutoff. The new one is drawn with the bucket locked and before the old item is
// seen to be alive; from after a flush, it would have found the old item dead.

void Cache::KnowFlush(Lane& lane, std::uint64_t cutoff) noexcept {
  lane.flushed_items.Set(lane.items.value());
  lane.flushed_bytes.Set(lane.bytes.value());
  lane.flush_floor.store(cutoff, std::memory_order_release);
  lane.cas_end = 0;
}

bool Cache::IsBelow(const Item& item, std::uint64_t number) const noexcept {
  // Items keep 48 bits of theirs.
  const std::uint64_t unused = cas_unused_.load(std::memory_order_relaxed);
  return ((unused - item.number()) & Item::kNumberMask) > unused - number;
}

void Cache::NoteRevived(const Item& item, Lane& lane) noexcept {
  if (!IsBelowFloor(item, lane)) return;
  lane.flushed_items.Subtract(1);
  lane.flushed_bytes.Subtract(ItemBytes(item));
}

AliveCount Cache::Alive() const {
  constexpr int kTriesMax = 16;  // Against flushes that come one after the other.
  std::int64_t items = 0;
  std::int64_t bytes = 0;
  for (int tries = 0; tries < kTriesMax; ++tries) {
    const std::uint64_t cutoff = flush_cutoff_.load(std::memory_order_acquire);
    items = 0;
    bytes = 0;
    ForEachLane([&](const Lane& lane) {
      if (lane.flush_floor.load(std::memory_order_acquire) != cutoff) return;
      items += static_cast<std::int64_t>(lane.items.value() - lane.flushed_items.value());
      bytes += static_cast<std::int64_t>(lane.bytes.value() - lane.flushed_bytes.value());
    });
    if (flush_cutoff_.load(std::memory_order_acquire) == cutoff) break;
  }
  // Below 0 only while an item goes from one lane's count to another's.
  return {.items = static_cast<std::uint64_t>(std::max<std::int64_t>(items, 0)),
          .bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(bytes, 0))};
}

void Cache::CountLinked(const Item& item, ClassId id, Lane& lane) noexcept {
  const std::size_t bytes = ItemBytes(item);
  lane.items.Add();
  lane.bytes.Add(bytes);
  // Its number is from the lane's range, which is not below the floor; but the lane may have heard
  // of a flush since it was drawn, and then has no range.
  if (lane.cas_end == 0 && IsBelowFloor(item, lane)) [[unlikely]] {
    lane.flushed_items.Add();
    lane.flushed_bytes.Add(bytes);
  }
  lane.classes[id].Add(ClassStat::kRequestedBytes, bytes);
  if (!lane.sizes.empty()) lane.sizes[SizeStep(bytes)].Add();
}

void Cache::CountUnlinked(const Item& item, ClassId id, Lane& lane) noexcept {
  const std::uint64_t cutoff = flush_cutoff_.load(std::memory_order_acquire);
  if (lane.flush_floor.load(std::memory_order_relaxed) != cutoff) [[unlikely]]
    KnowFlush(lane, cutoff);
  const std::size_t bytes = ItemBytes(item);
  lane.items.Subtract(1);
  lane.bytes.Subtract(bytes);
  if (IsBelowFloor(item, lane)) [[unlikely]] {
    lane.flushed_items.Subtract(1);
    lane.flushed_bytes.Subtract(bytes);
  }
  lane.classes[id].Subtract(ClassStat::kRequestedBytes, bytes);
  if (!lane.sizes.empty()) lane.sizes[SizeStep(bytes)].Subtract(1);
}

void Cache::CountResized(std::size_t old_bytes, std::size_t new_bytes, ClassId id,
                         Lane& lane) noexcept {
  if (old_bytes == new_bytes) return;
  lane.bytes.Add(new_bytes - old_bytes);
  lane.classes[id].Add(ClassStat::kRequestedBytes, new_bytes - old_bytes);
  if (!lane.sizes.empty()) {
    lane.sizes[SizeStep(old_bytes)].Subtract(1);
    lane.sizes[SizeStep(new_bytes)].Add();
  }
}

void Cache::Retire(Index::Guard& guard, Index::Slot slot, std::uint64_t hash, RemovalReason why,
                   Lane& lane) {
  RecordRemoval(hash, why, arena_->At(slot.ref()), lane);
  Unlink(guard, slot, lane);
}

Presence Cache::RetireDead(Index::Guard& guard, Index::Slot slot, Lane& lane) {
  const Item& item = arena_->At(slot.ref());
  const RemovalReason why = CauseOfDeath(item, lane);
  Retire(guard, slot, Hash(item.key()), why, lane);
  return why == RemovalReason::kExpired ? Presence::kExpired : Presence::kFlushed;
}

void Cache::Unlink(Index::Guard& guard, Index::Slot slot, Lane& lane) {
  const ItemRef ref = slot.ref();
  Item& item = arena_->At(ref);
  SlabClass& c = ClassOf(ref);
  CountUnlinked(item, c.id(), lane);
  --lane.items_untold;
  guard.Remove(slot);
  bool is_last = false;
  {
    const MutexLock lock(c.mutex());
    if (IsExpired(item, lane) && !item.was_fetched()) ++c.stats().expired_unfetched;
    c.queue().Remove(ref);
    is_last = item.DropReference();
    if (is_last && !item.is_chained()) {
      c.Free(ref);
      return;
    }
  }
  if (is_last) FreeChunks(ref);
}

}  // namespace larder::slab
