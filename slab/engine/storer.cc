#include "slab/engine/storer.h"

#include <cstring>

#include "slab/check.h"

namespace larder::slab {
namespace {

// The key must be there before the item is queued: whoever evicts reads it.
[[gnu::always_inline]] inline void WriteKey(Item& item, std::string_view key) {
  item.key_bytes = static_cast<std::uint8_t>(key.size());
  std::memcpy(item.payload(), key.data(), key.size());
}

}  // namespace

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
  LARDER_ASSERT(spec.value_bytes == value.size());
  LARDER_ASSERT(!spec.key.bytes.empty() && spec.key.bytes.size() <= kKeyBytesMax);
  if (!parts_.allocator.evicts() && !spec.can_expire()) [[unlikely]]
    return StoreWithRoom(mode, spec, value, cas_unique, lane);
  const std::size_t bytes = ItemBytes(spec);
  if (bytes <= small_bytes_max_ && mode != StoreMode::kAppend && mode != StoreMode::kPrepend)
      [[likely]] {
    SlabClass& c = parts_.classes.ById(parts_.classes.ladder().ClassFor(bytes));
    return StoreSmall({.mode = mode,
                       .spec = spec,
                       .bytes = bytes,
                       .value = value,
                       .cas_unique = cas_unique,
                       .c = c},
                      lane);
  }
  auto reserved = Reserve(spec, lane, std::nullopt);
  if (!reserved) {
    if (mode == StoreMode::kSet) parts_.deleter.DropRefused(spec.key, reserved.error(), lane);
    return {.status = reserved.error()};
  }
  reserved->value().Write(value);
  return Publish(*reserved, {.mode = mode, .cas_unique = cas_unique}, lane);
}

StoreOutcome Storer::StoreWithRoom(StoreMode mode, ItemSpec spec, std::string_view value,
                                   std::uint64_t cas_unique, Lane& lane) {
  spec.has_expiry_room = true;
  return Store(mode, spec, value, cas_unique, lane);
}

// This and what it calls are one function for the compiler: `store` lies in registers then. Passed
// in memory it costs every set 40 instructions.
[[gnu::always_inline]] inline StoreOutcome Storer::StoreSmall(const SmallStore& store, Lane& lane) {
  for (int tries = 0;; ++tries) {
    const StoreOutcome outcome = TryStoreSmall(store, lane);
    if (outcome.status != StoreStatus::kNoMemory) [[likely]]
      return outcome;
    if (parts_.reserver.MakeRoom(store.c, tries, lane)) continue;
    if (store.mode == StoreMode::kSet) {
      parts_.deleter.DropRefused(store.spec.key, StoreStatus::kNoMemory, lane);
    }
    return outcome;
  }
}

[[gnu::always_inline]] inline StoreOutcome Storer::TryStoreSmall(const SmallStore& store,
                                                                 Lane& lane) {
  const HashedKey& key = store.spec.key;
  SlabClass& c = store.c;
  Index::BucketLock guard(parts_.index, key.hash);
  // Drawn under the lock: a number from before a flush could kill what was stored after it.
  const std::uint64_t number = parts_.versions.Next(lane);
  const LockedItem old = parts_.lookup.FindAlive(guard, key, lane);
  const ItemRef old_ref = old ? old.ref() : kNoItem;
  const ClassId old_class = old ? parts_.classes.IdOf(*old) : ClassId{0};
  if (store.mode != StoreMode::kSet) {
    const auto refusal = Refusal(store.mode, old ? &*old : nullptr, store.cas_unique);
    if (refusal) [[unlikely]] {
      if (store.mode == StoreMode::kAdd) parts_.usage.MarkUse(*old, lane);
      return {.status = *refusal, .class_id = old_class};
    }
    // A store that depends on what is there is a use of it; a plain set says nothing about that.
    if (old) parts_.usage.Note(*old, old_class);
  }
  // The commonest store needs no class lock: the new value takes the old one's place.
  if (old && old_class == c.id() && old->is_rewritable()) {
    return Overwrite(store, *old, number, lane);
  }
  if (parts_.admission.IsForbidden(key)) [[unlikely]]
    return {.status = StoreStatus::kForbidden};

  FreeLater free_later(parts_.classes);
  ItemRef ref = kNoItem;
  if (!old && c.batch() > 1 && parts_.usage.policy() == EvictionPolicy::kSegmented) {
    ref = TakeStocked(store, guard, lane, free_later);
  }
  if (ref == kNoItem) ref = TakeQueued(store, guard, old, lane, free_later);
  if (ref == kNoItem) return {.status = StoreStatus::kNoMemory, .class_id = c.id()};

  Item& item = parts_.classes.arena().At(ref);
  std::byte* const to = FillHeader(item, store.spec, store.spec.value_bytes, lane);
  item.set_number(number);
  std::memcpy(to, store.value.data(), store.value.size());
  if (old_ref != kNoItem) {
    // An eviction from this very bucket may have moved the slot.
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
  return {.status = StoreStatus::kStored, .class_id = c.id(), .cas = number & Item::kNumberMask};
}

[[gnu::always_inline]] inline StoreOutcome Storer::Overwrite(const SmallStore& store, Item& old,
                                                             std::uint64_t number, Lane& lane) {
  const ClassId id = store.c.id();
  Liveness::CountResized(old.item_bytes(), store.bytes, id, lane);
  std::byte* const to = FillHeader(old, store.spec, store.spec.value_bytes, lane);
  if (parts_.usage.policy() == EvictionPolicy::kLru) [[unlikely]]
    parts_.usage.MoveToFront(old);
  old.set_number(number);
  std::memcpy(to, store.value.data(), store.value.size());
  lane.total_items.Add();
  return {.status = StoreStatus::kStored, .class_id = id, .cas = number & Item::kNumberMask};
}

[[gnu::always_inline]] inline ItemRef Storer::TakeStocked(const SmallStore& store,
                                                          const Index::Guard& guard, Lane& lane,
                                                          FreeLater& free_later) {
  SlabClass& c = store.c;
  const ItemRef ref = parts_.allocator.TakeStocked(c, guard, lane, free_later);
  if (ref == kNoItem) return kNoItem;
  const HashedKey& key = store.spec.key;
  Item& item = parts_.classes.arena().At(ref);
  WriteKey(item, key.bytes);
  item.set_eviction_state(EvictionState::Born(c.clock().tick()));
  lane.magazines[c.id()]->Put(ref, item, key.hash);
  c.PrefetchGhosts(key.hash);
  return ref;
}

[[gnu::always_inline]] inline ItemRef Storer::TakeQueued(const SmallStore& store,
                                                         const Index::Guard& guard,
                                                         const LockedItem& old, Lane& lane,
                                                         FreeLater& free_later) {
  SlabClass& c = store.c;
  const HashedKey& key = store.spec.key;
  const ItemRef old_ref = old ? old.ref() : kNoItem;
  const MutexLock lock(c.mutex());
  const ItemRef ref =
      parts_.allocator.Allocate(c, {.guard = &guard, .kept = old_ref}, lane, free_later);
  if (ref == kNoItem) return kNoItem;
  WriteKey(parts_.classes.arena().At(ref), key.bytes);
  if (!old) {
    c.queue().Insert(ref, key.hash);
  } else if (parts_.classes.IdOf(*old) != c.id()) {
    c.queue().InsertAs(ref, old->eviction_state());
  } else {
    parts_.liveness.CountUnlinked(*old, c.id(), lane);
    c.queue().Replace(old_ref, ref);
    if (old->DropReference()) {
      if (old->is_chained()) {
        free_later.Add(old_ref, *old);
      } else {
        c.Free(old_ref);
      }
    }
  }
  return ref;
}

void Storer::Unqueue(ItemRef old_ref, SlabClass& old_class, Lane& lane, FreeLater& free_later) {
  Item& old = parts_.classes.arena().At(old_ref);
  parts_.liveness.CountUnlinked(old, old_class.id(), lane);
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
  // has removed it again.
  for (;;) {
    const StoreOutcome joined = parts_.growth.Join(item, terms, lane);
    if (joined.status != StoreStatus::kNotFound) return joined;
    if (!terms.creates) return {.status = StoreStatus::kNotStored};
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

StoreOutcome Storer::PublishLocked(Index::Guard& guard, ReservedItem& item,
                                   const PublishTerms& terms, Lane& lane) {
  const LockedItem old = parts_.lookup.FindAlive(guard, item.key(), lane);
  const ClassId old_class = old ? parts_.classes.IdOf(*old) : ClassId{0};
  const auto refusal = Refusal(terms.mode, old ? &*old : nullptr, terms.cas_unique);
  const bool is_late = refusal == StoreStatus::kExists && terms.is_stale_allowed &&
                       parts_.versions.IsOlder(terms.cas_unique, *old);
  if (refusal && !is_late) {
    if (terms.mode == StoreMode::kAdd) parts_.usage.MarkUse(*old, lane);
    return {.status = *refusal, .class_id = old_class};
  }
  Item& fresh = item.item();
  if (terms.keeps_expiry && !fresh.SetExpiry(old->expiry())) {
    return {.status = StoreStatus::kExists, .class_id = old_class};
  }
  if (old && terms.mode != StoreMode::kSet && terms.mode != StoreMode::kUnchanged) {
    parts_.usage.Note(*old, old_class);
  }
  fresh.set_number(parts_.versions.Next(lane));
  if (is_late) {
    fresh.size_and_state |= Item::kIsStale | (old->size_and_state & Item::kIsWon);
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
