#include "slab/engine/storer.h"

#include <cstring>

#include "slab/check.h"

namespace larder::slab {
namespace {

// Writes the key of a new item. The key must be there before the item is queued, because evictions
// read the keys of queued items.
[[gnu::always_inline]] inline void WriteKey(Item& item, std::string_view key) {
  item.key_bytes = static_cast<std::uint8_t>(key.size());
  std::memcpy(item.payload(), key.data(), key.size());
}

}  // namespace

// `old` is the present item of the key, nullptr if there is none.
std::optional<StoreStatus> Storer::Refusal(StoreMode mode, const Item* old,
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

StoreOutcome Storer::Store(StoreMode mode, const ItemSpec& spec, std::string_view value,
                           std::uint64_t cas_unique, Lane& lane) {
  if (!is_usual_.load(std::memory_order_relaxed)) [[unlikely]]
    return StoreUnusually(mode, spec, value, cas_unique, lane);
  return StoreAs<Opening::kAtOnce>(mode, spec, value, cas_unique, lane);
}

void Storer::NoteMemoryLimit() {
  is_usual_.store(parts_.allocator.evicts() && !parts_.reserver.MayUseSubstitutes(),
                  std::memory_order_relaxed);
}

template <Storer::Opening kOpening>
[[gnu::always_inline]] inline StoreOutcome Storer::StoreAs(StoreMode mode, const ItemSpec& spec,
                                                           std::string_view value,
                                                           std::uint64_t cas_unique, Lane& lane) {
  LARDER_ASSERT(spec.value_bytes == value.size());
  LARDER_ASSERT(!spec.key.bytes.empty() && spec.key.bytes.size() <= kKeyBytesMax);
  // The common case: the item fits into one chunk, and its value is not joined with another one.
  const std::size_t bytes = ItemBytes(spec);
  if (bytes <= small_bytes_max_ && mode != StoreMode::kAppend && mode != StoreMode::kPrepend)
      [[likely]] {
    SlabClass& c = parts_.classes.ById(parts_.classes.ladder().ClassFor(bytes));
    return StoreSmall<kOpening>({.mode = mode,
                                 .spec = spec,
                                 .bytes = bytes,
                                 .value = value,
                                 .cas_unique = cas_unique,
                                 .c = c},
                                lane);
  }
  return StoreReserved(mode, spec, value, cas_unique, lane);
}

StoreOutcome Storer::StoreReserved(StoreMode mode, const ItemSpec& spec, std::string_view value,
                                   std::uint64_t cas_unique, Lane& lane) {
  auto reserved = Reserve(spec, lane, std::nullopt);
  if (!reserved) {
    // A refused set removes the old item, which is out of date.
    if (mode == StoreMode::kSet) parts_.deleter.DropRefused(spec.key, reserved.error(), lane);
    return {.status = reserved.error()};
  }
  reserved->value().Write(value);
  return Publish(*reserved, {.mode = mode, .cas_unique = cas_unique}, lane);
}

StoreOutcome Storer::StoreUnusually(StoreMode mode, ItemSpec spec, std::string_view value,
                                    std::uint64_t cas_unique, Lane& lane) {
  // Without eviction every item gets room for an expiry, so that a later touch needs no memory.
  if (!parts_.allocator.evicts()) spec.has_expiry_room = true;
  return StoreAs<Opening::kWhenWorthIt>(mode, spec, value, cas_unique, lane);
}

// The compiler makes one function of this and what it calls, so that `store` lies in registers.
// Passed in memory it costs every set 40 instructions.
template <Storer::Opening kOpening>
[[gnu::always_inline]] inline StoreOutcome Storer::StoreSmall(const SmallStore& store, Lane& lane) {
  RoomSearch search;
  // One object for all tries, which the compiler makes where the caller wants the result. A copy of
  // it would be read in one piece right after it was written in several, which costs more than the
  // rest of this function.
  StoreOutcome outcome;
  for (;;) {
    outcome.status = TryStoreSmall(store, search.prefers_page, outcome, lane);
    if (outcome.status != StoreStatus::kNoMemory) [[likely]]
      return outcome;
    if constexpr (kOpening == Opening::kWhenWorthIt) {
      if (parts_.reserver.HasSubstitute(store.c)) {
        return StoreReserved(store.mode, store.spec, store.value, store.cas_unique, lane);
      }
    }
    // No chunk: with the bucket unlocked a page can be moved to the class, then try again.
    if (parts_.reserver.MakeRoom(store.c, search, lane)) continue;
    if (store.mode == StoreMode::kSet) {
      parts_.deleter.DropRefused(store.spec.key, StoreStatus::kNoMemory, lane);
    }
    return outcome;
  }
}

[[gnu::always_inline]] inline StoreStatus Storer::TryStoreSmall(const SmallStore& store,
                                                                bool prefers_page,
                                                                StoreOutcome& outcome, Lane& lane) {
  const HashedKey& key = store.spec.key;
  SlabClass& c = store.c;
  Index::BucketLock guard(parts_.index, key.hash);
  // Drawn with the bucket locked: a number from before a flush would make an item that is stored
  // after the flush invalid. And before the old item is found alive, see Versions::DrawCutoff.
  const std::uint64_t number = parts_.versions.Next(lane);
  const LockedItem old = parts_.lookup.FindAlive(guard, key, lane);
  const ItemRef old_ref = old ? old.ref() : kNoItem;
  const ClassId old_class = old ? parts_.classes.IdOf(*old) : ClassId{0};
  if (store.mode != StoreMode::kSet) {
    const auto refusal = Refusal(store.mode, old ? &*old : nullptr, store.cas_unique);
    // An add that finds an item counts as a use of it.
    if (refusal) [[unlikely]] {
      if (store.mode == StoreMode::kAdd) parts_.usage.MarkUse(*old, lane);
      outcome.class_id = old_class;
      return *refusal;
    }
    // A store that depends on the old item is a use of it. A plain set says nothing about later
    // reads.
    if (old) parts_.usage.Note(*old, old_class);
  }
  // The commonest store needs no lock of a class: the new value is written over the old one.
  if (old && old_class == c.id() && old->is_rewritable()) {
    Overwrite(store, *old, number, lane);
    outcome.class_id = old_class;
    outcome.cas = number & Item::kNumberMask;
    return StoreStatus::kStored;
  }
  if (parts_.admission.IsForbidden(key)) [[unlikely]]
    return StoreStatus::kForbidden;

  // Declared before a class is locked: see FreeLater.
  FreeLater free_later(parts_.classes);
  ItemRef ref = kNoItem;
  const Held held = {.guard = &guard,
                     .kept = old_ref,
                     .prefers_page = prefers_page,
                     .storer = parts_.allocator.StorerOf(key.bytes)};
  // Magazines are for new items under the segmented policy only.
  if (!old && c.batch() > 1 && parts_.usage.policy() == EvictionPolicy::kSegmented) {
    ref = TakeStocked(store, held, lane, free_later);
  }
  if (ref == kNoItem) ref = TakeQueued(store, held, old, lane, free_later);
  outcome.class_id = c.id();
  if (ref == kNoItem) return StoreStatus::kNoMemory;

  // The class is unlocked again. The value is copied with only the bucket locked, so that other
  // stores into the class do not wait.
  Item& item = parts_.classes.arena().At(ref);
  std::byte* const to = FillHeader(item, store.spec, store.spec.value_bytes, lane);
  item.set_number(number);
  std::memcpy(to, store.value.data(), store.value.size());
  if (old_ref != kNoItem) {
    // An eviction from this very bucket may have moved the slot, so it is looked for again.
    guard.Replace(guard.Find(key.hash, old_ref), ref);
    if (old_class != c.id()) Unqueue(old_ref, parts_.classes.ById(old_class), lane, free_later);
  } else {
    guard.Insert(key.hash, ref, lane.number);
    ++lane.items_unreported;
  }
  parts_.liveness.CountLinked(item, c.id(), lane);
  lane.total_items.Add();
  guard.Unlock();
  parts_.unlinker.ReportCount(lane);
  outcome.cas = number & Item::kNumberMask;
  return StoreStatus::kStored;
}

// Writes the new item over the old one, in its chunk. Its place in the queue does not change,
// except under kLru.
[[gnu::always_inline]] inline void Storer::Overwrite(const SmallStore& store, Item& old,
                                                     std::uint64_t number, Lane& lane) {
  const ClassId id = store.c.id();
  LARDER_ASSERT(old.is_rewritable());
  LARDER_ASSERT(parts_.classes.IdOf(old) == id);
  parts_.liveness.CountResized(store.spec.key.bytes, old.item_bytes(), store.bytes, id, lane);
  std::byte* const to = FillHeader(old, store.spec, store.spec.value_bytes, lane);
  if (parts_.usage.policy() == EvictionPolicy::kLru) [[unlikely]]
    parts_.usage.MoveToFront(old);
  old.set_number(number);
  std::memcpy(to, store.value.data(), store.value.size());
  lane.total_items.Add();
}

// Takes a chunk from the lane's magazine, and puts the item back into the slot as one that waits to
// be queued.
[[gnu::always_inline]] inline ItemRef Storer::TakeStocked(const SmallStore& store, const Held& held,
                                                          Lane& lane, FreeLater& free_later) {
  SlabClass& c = store.c;
  const ItemRef ref = parts_.allocator.TakeStocked(c, held, lane, free_later);
  if (ref == kNoItem) return kNoItem;
  const HashedKey& key = store.spec.key;
  Item& item = parts_.classes.arena().At(ref);
  WriteKey(item, key.bytes);
  item.set_eviction_state(EvictionState::Born(c.clock().tick()));
  lane.magazines[c.id()]->Put(ref, item, key.hash);
  c.PrefetchGhosts(key.hash);
  return ref;
}

// Takes a chunk with the class locked, and queues the item at once, in the place of the old one if
// there is one.
[[gnu::always_inline]] inline ItemRef Storer::TakeQueued(const SmallStore& store, const Held& held,
                                                         const LockedItem& old, Lane& lane,
                                                         FreeLater& free_later) {
  SlabClass& c = store.c;
  const HashedKey& key = store.spec.key;
  const ItemRef old_ref = held.kept;
  const MutexLock lock(c.mutex());
  const ItemRef ref = parts_.allocator.Allocate(c, held, lane, free_later);
  if (ref == kNoItem) return kNoItem;
  WriteKey(parts_.classes.arena().At(ref), key.bytes);
  if (!old) {
    c.queue().Insert(ref, key.hash);
  } else if (parts_.classes.IdOf(*old) != c.id()) {
    c.queue().InsertAs(ref, old->eviction_state());
  } else {
    // The old item is of this class: it leaves the counts and the queue here, because the class is
    // locked already.
    parts_.liveness.CountUnlinked(*old, c.id(), Unlinking::kRemoved, lane);
    c.queue().Replace(old_ref, ref);
    if (old->DropReference()) {
      // A chain has chunks of other classes, which cannot be locked now.
      if (old->is_chained()) {
        free_later.Add(old_ref, *old);
      } else {
        c.Free(old_ref);
      }
    }
  }
  return ref;
}

// Takes the old item out of the counts and out of the queue of its own class.
void Storer::Unqueue(ItemRef old_ref, SlabClass& old_class, Lane& lane, FreeLater& free_later) {
  Item& old = parts_.classes.arena().At(old_ref);
  parts_.liveness.CountUnlinked(old, old_class.id(), Unlinking::kRemoved, lane);
  const MutexLock lock(old_class.mutex());
  old_class.queue().Remove(old_ref);
  if (old.DropReference()) free_later.Add(old_ref, old);
}

Result<ReservedItem, StoreStatus> Storer::Reserve(const ItemSpec& spec, Lane& lane,
                                                  std::optional<std::uint64_t> chosen_cas) {
  if (const auto refusal = parts_.admission.Refusal(spec)) return Failure{*refusal};
  return parts_.reserver.Reserve(spec, chosen_cas, {}, lane);
}

StoreOutcome Storer::Publish(ReservedItem& item, const PublishTerms& terms, Lane& lane) {
  if (terms.mode != StoreMode::kAppend && terms.mode != StoreMode::kPrepend) {
    return PublishWhole(item, terms, lane);
  }
  // Another round is needed only if another client has stored the key meanwhile, and yet another
  // one has removed it again.
  for (;;) {
    const StoreOutcome joined = parts_.growth.Join(item, terms, lane);
    if (joined.status != StoreStatus::kNotFound) return joined;
    if (!terms.creates) return {.status = StoreStatus::kNotStored};
    // Read before the item is published: afterwards it no longer belongs to this thread.
    const std::uint32_t value_bytes = item.value_bytes();
    StoreOutcome created = PublishWhole(item, {.mode = StoreMode::kAdd}, lane);
    created.joined_bytes = value_bytes;
    if (created.status == StoreStatus::kStored) return created;
  }
}

StoreOutcome Storer::PublishWhole(ReservedItem& item, const PublishTerms& terms, Lane& lane) {
  StoreOutcome outcome;
  {
    Index::BucketLock guard(parts_.index, item.key().hash);
    outcome = PublishLocked(guard, item, terms, lane);
  }
  if (outcome.status == StoreStatus::kStored) parts_.unlinker.ReportCount(lane);
  return outcome;
}

// All with the bucket locked: the decision, and the link.
StoreOutcome Storer::PublishLocked(Index::Guard& guard, ReservedItem& item,
                                   const PublishTerms& terms, Lane& lane) {
  // See TryStoreSmall.
  const std::uint64_t number = parts_.versions.Next(lane);
  const LockedItem old = parts_.lookup.FindAlive(guard, item.key(), lane);
  const ClassId old_class = old ? parts_.classes.IdOf(*old) : ClassId{0};
  const auto refusal = Refusal(terms.mode, old ? &*old : nullptr, terms.cas_unique);
  // A late write with an old CAS is accepted as a stale value if the terms allow it.
  const bool is_late = refusal == StoreStatus::kExists && terms.is_stale_allowed &&
                       parts_.versions.IsOlder(terms.cas_unique, *old);
  if (refusal && !is_late) {
    if (terms.mode == StoreMode::kAdd) parts_.usage.MarkUse(*old, lane);
    return {.status = *refusal, .class_id = old_class};
  }
  Item& fresh = item.item();
  // A touch changes no number, so the expiry may have changed since the caller read the item.
  if (terms.keeps_expiry && !fresh.SetExpiry(old->expiry())) {
    return {.status = StoreStatus::kExists, .class_id = old_class};
  }
  if (old && terms.mode != StoreMode::kSet && terms.mode != StoreMode::kUnchanged) {
    parts_.usage.Note(*old, old_class);
  }
  fresh.set_number(number);
  if (is_late) {
    fresh.size_and_state |= Item::kIsStale | (old->size_and_state & Item::kWinTokenSent);
    LARDER_CHECK(fresh.SetExpiry(old->expiry()));
  }
  StoreOutcome outcome = {
      .status = StoreStatus::kStored, .class_id = parts_.classes.IdOf(fresh), .cas = fresh.cas()};
  if (terms.mode == StoreMode::kUnchanged) outcome.expiry = old->expiry();
  parts_.linker.Link(guard, old, item, lane);
  lane.total_items.Add();
  return outcome;
}

}  // namespace larder::slab
