// How items outgrow their chunks.
#include <algorithm>
#include <cstring>
#include <optional>

#include "slab/cache.h"
#include "slab/check.h"
#include "slab/sync/race_hook.h"

namespace larder::slab {
namespace {

// Times that a value is copied without a lock, and stored by another client meanwhile. Then it is
// copied with its bucket locked: so many times at most, for there the memory may be lacking only
// because a page cannot be moved.
constexpr int kUnlockedTriesMax = 4;
constexpr int kLockedTriesMax = 64;

// Copies `bytes` from one value to another.
void CopyPieces(ValueCursor from, ValueCursor& to, std::size_t bytes) {
  while (bytes > 0) {
    const auto source = from.piece();
    const auto room = to.piece();
    const std::size_t n = std::min({source.size(), room.size(), bytes});
    LARDER_CHECK(n > 0);
    std::memcpy(room.data(), source.data(), n);
    from.Advance(n);
    to.Advance(n);
    bytes -= n;
  }
}

}  // namespace

template <class Look>
Cache::Original Cache::PinOriginal(const HashedKey& key, Lane& lane, Look&& look) {
  Original original;
  (void)Visit(key, lane, [&](Item& item) {
    if (!look(item)) return;
    original = {.ref = arena_->RefOf(&item), .pin = Pin(item), .value = Value(item)};
  });
  return original;
}

std::optional<std::uint64_t> Cache::ChosenCasOf(const ReservedItem& item) const {
  const Item& reserved = arena_->At(item.ref_);
  return reserved.has_chosen_cas() ? std::optional(reserved.cas()) : std::nullopt;
}

std::optional<StoreOutcome> Cache::RefusalToJoin(const Item& old, const ReservedItem& added,
                                                 const PublishTerms& terms) const {
  if (terms.cas_unique != 0 && terms.cas_unique != old.cas()) {
    return StoreOutcome{.status = StoreStatus::kExists, .class_id = ClassOf(old)};
  }
  const std::uint32_t added_bytes = added.value_bytes();
  const bool fits = added_bytes <= item_bytes_max_ &&
                    old.value_bytes() <= item_bytes_max_ - added_bytes &&
                    Fits(JoinedSpec(old, added));
  if (!fits) return StoreOutcome{.status = StoreStatus::kNotStored};
  return std::nullopt;
}

ItemSpec Cache::JoinedSpec(const Item& old, const ReservedItem& added) const {
  return {.key = added.key(),
          .client_flags = old.client_flags(),
          .expiry = old.expiry(),
          .value_bytes = old.value_bytes() + added.value_bytes(),
          .has_expiry_room = old.can_expire()};
}

void Cache::WriteJoined(ValueCursor old, const ReservedItem& added, StoreMode mode,
                        const ReservedItem& joined) const {
  const std::size_t added_bytes = added.value_bytes();
  const std::size_t old_bytes = joined.value_bytes() - added_bytes;
  ValueCursor to = joined.value();
  if (mode == StoreMode::kPrepend) CopyPieces(added.value(), to, added_bytes);
  CopyPieces(old, to, old_bytes);
  if (mode == StoreMode::kAppend) CopyPieces(added.value(), to, added_bytes);
}

StoreOutcome Cache::LinkJoined(Index::Guard& guard, ItemRef old_ref, ReservedItem& joined,
                               const ReservedItem& added, Lane& lane) {
  const HashedKey key = added.key();
  Item& old = arena_->At(old_ref);
  NoteUse(old, ClassOf(old));
  const ItemRef ref = joined.Release();
  Item& item = arena_->At(ref);
  // It may have changed since; the room for one is part of the layout.
  LARDER_CHECK(item.SetExpiry(old.expiry()));
  item.size_and_state |= arena_->At(added.ref_).size_and_state & Item::kHasBinaryKey;
  item.set_number(NextCas(lane));
  const StoreOutcome outcome = {.status = StoreStatus::kStored,
                                .class_id = ClassOf(item),
                                .joined_bytes = item.value_bytes(),
                                .cas = item.cas()};
  Link(guard, key.hash, guard.Find(key.hash, old_ref), ref, lane);
  lane.total_items.Add();
  guard.Unlock();
  TellIndex(lane);
  return outcome;
}

StoreOutcome Cache::Concatenate(const ReservedItem& added, const PublishTerms& terms, Lane& lane) {
  const HashedKey key = added.key();
  // The old value may be large, so it is copied without a lock, pinned.
  for (int tries = 0; tries < kUnlockedTriesMax; ++tries) {
    std::optional<StoreOutcome> refusal = StoreOutcome{.status = StoreStatus::kNotFound};
    ItemSpec spec;
    const Original original = PinOriginal(key, lane, [&](const Item& item) {
      refusal = RefusalToJoin(item, added, terms);
      if (!refusal) spec = JoinedSpec(item, added);
      return !refusal;
    });
    if (refusal) return *refusal;
    auto joined = ReserveChunks(spec, ChosenCasOf(added), {}, lane);
    if (!joined) return {.status = StoreStatus::kNotStored};
    WriteJoined(original.value, added, terms.mode, *joined);

    RaceHook::Reach(RacePoint::kJoin);
    Index::Guard guard = index_->Lock(key.hash);
    const Index::Slot slot = FindAlive(guard, key, lane);
    if (!slot) return {.status = StoreStatus::kNotFound};
    if (slot.ref() != original.ref) continue;
    // The CAS changes without the value when an item is marked as stale.
    refusal = RefusalToJoin(arena_->At(original.ref), added, terms);
    if (refusal) return *refusal;
    return LinkJoined(guard, original.ref, *joined, added, lane);
  }
  return ConcatenateLocked(added, terms, lane);
}

StoreOutcome Cache::ConcatenateLocked(const ReservedItem& added, const PublishTerms& terms,
                                      Lane& lane) {
  const HashedKey key = added.key();
  for (int tries = 0; tries < kLockedTriesMax; ++tries) {
    ItemSpec spec;
    {
      Index::Guard guard = index_->Lock(key.hash);
      const Index::Slot slot = FindAlive(guard, key, lane);
      if (!slot) return {.status = StoreStatus::kNotFound};
      const ItemRef old_ref = slot.ref();
      Item& old = arena_->At(old_ref);
      if (const auto refusal = RefusalToJoin(old, added, terms)) return *refusal;
      spec = JoinedSpec(old, added);
      auto joined =
          ReserveChunks(spec, ChosenCasOf(added), {.guard = &guard, .kept = old_ref}, lane);
      if (joined) {
        WriteJoined(Value(old), added, terms.mode, *joined);
        return LinkJoined(guard, old_ref, *joined, added, lane);
      }
    }
    // What this frees again is there for the next try.
    if (!ReserveChunks(spec, ChosenCasOf(added), {}, lane)) break;
  }
  return {.status = StoreStatus::kNotStored};
}

bool Cache::ChooseCas(Item& item, std::uint64_t cas, Lane& lane) noexcept {
  const std::size_t needed = item.used_bytes() + Item::kChosenCasBytes;
  if (needed > ladder_.chunk_bytes(ClassOf(item))) return false;
  Renumber(item, lane);
  item.SetChosenCas(cas);
  return true;
}

bool Cache::HasRoom(const Item& item, Room room) const noexcept {
  if (room == Room::kExpiry) return item.can_expire();
  return item.used_bytes() + Item::kChosenCasBytes <= ladder_.chunk_bytes(ClassOf(item));
}

Cache::RoomyShape Cache::ShapeWithRoom(const Item& old, const HashedKey& key, Room room) {
  const bool has_cas_room = room == Room::kChosenCas || old.has_chosen_cas();
  return {.spec = {.key = key,
                   .client_flags = old.client_flags(),
                   .expiry = old.expiry(),
                   .value_bytes = old.value_bytes(),
                   .has_expiry_room = room == Room::kExpiry || old.can_expire()},
          .chosen_cas = has_cas_room ? std::optional(old.cas()) : std::nullopt};
}

bool Cache::LinkMoved(Index::Guard& guard, ItemRef old_ref, ReservedItem& moved, Lane& lane) {
  const HashedKey key = moved.key();
  const Item& old = arena_->At(old_ref);
  Item& item = arena_->At(moved.ref_);
  if (old.has_chosen_cas() && !item.has_chosen_cas()) return false;
  const ItemRef ref = moved.Release();
  if (item.has_chosen_cas()) item.SetChosenCas(old.cas());
  LARDER_CHECK(item.SetExpiry(old.expiry()));
  constexpr std::uint32_t kMoved =
      Item::kWasFetched | Item::kHasBinaryKey | Item::kIsStale | Item::kIsWon;
  item.size_and_state |= old.size_and_state & kMoved;
  item.set_number(old.number());
  item.last_access_low = old.last_access_low;
  item.last_access_high = old.last_access_high;
  Link(guard, key.hash, guard.Find(key.hash, old_ref), ref, lane);
  guard.Unlock();
  TellIndex(lane);
  return true;
}

RoomStatus Cache::AddRoom(Room room, const HashedKey& key, Lane& lane) {
  for (int tries = 0; tries < kUnlockedTriesMax; ++tries) {
    RoomStatus status = RoomStatus::kMiss;
    RoomyShape shape;
    const Original original = PinOriginal(key, lane, [&](const Item& item) {
      status = HasRoom(item, room) ? RoomStatus::kMade : RoomStatus::kNoMemory;
      if (status == RoomStatus::kNoMemory) shape = ShapeWithRoom(item, key, room);
      return status == RoomStatus::kNoMemory;
    });
    if (status != RoomStatus::kNoMemory) return status;
    auto moved = ReserveChunks(shape.spec, shape.chosen_cas, {}, lane);
    if (!moved) return RoomWithoutMemory(room, key, lane);
    ValueCursor to = moved->value();
    CopyPieces(original.value, to, shape.spec.value_bytes);
    lane.copied_bytes += shape.spec.value_bytes;

    RaceHook::Reach(RacePoint::kAddRoom);
    Index::Guard guard = index_->Lock(key.hash);
    const Index::Slot slot = FindAlive(guard, key, lane);
    if (!slot) return RoomStatus::kMiss;
    if (slot.ref() != original.ref) continue;
    if (LinkMoved(guard, original.ref, *moved, lane)) return RoomStatus::kMade;
  }
  return AddRoomLocked(room, key, lane);
}

RoomStatus Cache::AddRoomLocked(Room room, const HashedKey& key, Lane& lane) {
  for (int tries = 0; tries < kLockedTriesMax; ++tries) {
    RoomyShape shape;
    {
      Index::Guard guard = index_->Lock(key.hash);
      const Index::Slot slot = FindAlive(guard, key, lane);
      if (!slot) return RoomStatus::kMiss;
      const ItemRef old_ref = slot.ref();
      Item& old = arena_->At(old_ref);
      if (HasRoom(old, room)) return RoomStatus::kMade;
      shape = ShapeWithRoom(old, key, room);
      auto moved =
          ReserveChunks(shape.spec, shape.chosen_cas, {.guard = &guard, .kept = old_ref}, lane);
      if (moved) {
        ValueCursor to = moved->value();
        CopyPieces(Value(old), to, shape.spec.value_bytes);
        lane.copied_bytes += shape.spec.value_bytes;
        LARDER_CHECK(LinkMoved(guard, old_ref, *moved, lane));
        return RoomStatus::kMade;
      }
    }
    // What this frees again is there for the next try.
    if (!ReserveChunks(shape.spec, shape.chosen_cas, {}, lane)) break;
  }
  return RoomWithoutMemory(room, key, lane);
}

// Another client may have given the item the room, perhaps with the last memory that there was.
RoomStatus Cache::RoomWithoutMemory(Room room, const HashedKey& key, Lane& lane) {
  RoomStatus status = RoomStatus::kMiss;
  (void)Visit(key, lane, [&](const Item& item) {
    status = HasRoom(item, room) ? RoomStatus::kMade : RoomStatus::kNoMemory;
  });
  return status;
}

}  // namespace larder::slab
