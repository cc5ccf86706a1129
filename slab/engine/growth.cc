#include "slab/engine/growth.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "slab/check.h"
#include "slab/sync/race_hook.h"

namespace larder::slab {
namespace {

// How often a value is copied without a lock and found to be replaced by another client meanwhile.
// Then it is copied with its bucket locked.
constexpr int kUnlockedTriesMax = 4;
// How often that is tried. With the bucket locked no page can be moved, so memory may be lacking
// only for that reason.
constexpr int kLockedTriesMax = 64;

// Copies `bytes` bytes from one value to another, and moves `to` behind them.
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

// The spec of the item that results from joining the two, without its value.
ItemSpec JoinedSpec(const Item& old, const ReservedItem& added) {
  return {.key = added.key(),
          .client_flags = old.client_flags(),
          .expiry = old.expiry(),
          .value_bytes = old.value_bytes() + added.value_bytes(),
          .has_expiry_room = old.can_expire()};
}

// Writes the joined value: the old one and the added one, in the order that the mode asks for.
void WriteJoined(ValueCursor old, const ReservedItem& added, StoreMode mode,
                 const ReservedItem& joined) {
  const std::size_t added_bytes = added.value_bytes();
  LARDER_ASSERT(joined.value_bytes() >= added_bytes);
  const std::size_t old_bytes = joined.value_bytes() - added_bytes;
  ValueCursor to = joined.value();
  if (mode == StoreMode::kPrepend) CopyPieces(added.value(), to, added_bytes);
  CopyPieces(old, to, old_bytes);
  if (mode == StoreMode::kAppend) CopyPieces(added.value(), to, added_bytes);
}

// Copies the whole value to a new item, and counts the bytes for the lane.
void CopyValue(ValueCursor from, const ReservedItem& to, Lane& lane) {
  ValueCursor at = to.value();
  CopyPieces(from, at, to.value_bytes());
  lane.copied_bytes += to.value_bytes();
}

}  // namespace

// The pin is taken with the bucket locked; the value is read later without a lock.
template <class Look>
Growth::Original Growth::PinOriginal(const HashedKey& key, Lane& lane, Look&& look) {
  Original original;
  (void)parts_.lookup.Visit(key, lane, [&](Item& item) {
    if (!look(item)) return;
    const Arena& arena = parts_.classes.arena();
    original = {.ref = arena.RefOf(&item), .pin = parts_.pins.Add(item), .value = {arena, item}};
  });
  return original;
}

std::optional<StoreOutcome> Growth::RefusalToJoin(const Item& old, const ReservedItem& added,
                                                  const PublishTerms& terms) const {
  // append and prepend may give a CAS. 0 means that they do not.
  if (terms.cas_unique != 0 && terms.cas_unique != old.cas()) {
    return StoreOutcome{.status = StoreStatus::kExists, .class_id = parts_.classes.IdOf(old)};
  }
  const std::uint32_t bytes_max = parts_.admission.item_bytes_max();
  const std::uint32_t added_bytes = added.value_bytes();
  // In an order that cannot overflow.
  const bool fits = added_bytes <= bytes_max && old.value_bytes() <= bytes_max - added_bytes &&
                    parts_.admission.Fits(JoinedSpec(old, added));
  if (!fits) return StoreOutcome{.status = StoreStatus::kNotStored};
  return std::nullopt;
}

StoreOutcome Growth::LinkJoined(Index::Guard& guard, ItemRef old_ref, ReservedItem& joined,
                                const ReservedItem& added, std::uint64_t number, Lane& lane) {
  const Arena& arena = parts_.classes.arena();
  Item& old = arena.At(old_ref);
  parts_.usage.Note(old, parts_.classes.IdOf(old));
  Item& item = joined.item();
  // The expiry may have changed since the copy was made. The room for one is part of the layout,
  // which has not changed.
  LARDER_CHECK(item.SetExpiry(old.expiry()));
  item.size_and_state |= added.item().size_and_state & Item::kHasBinaryKey;
  item.set_number(number);
  const StoreOutcome outcome = {.status = StoreStatus::kStored,
                                .class_id = parts_.classes.IdOf(item),
                                .joined_bytes = item.value_bytes(),
                                .cas = item.cas()};
  const LockedItem linked(guard.Find(added.key().hash, old_ref), arena);
  parts_.linker.Link(guard, linked, joined, lane);
  lane.total_items.Add();
  return outcome;
}

StoreOutcome Growth::Join(const ReservedItem& added, const PublishTerms& terms, Lane& lane) {
  LARDER_ASSERT(terms.mode == StoreMode::kAppend || terms.mode == StoreMode::kPrepend);
  const HashedKey key = added.key();
  // Without a lock: pin the old item, reserve the joined one, copy. Then, with the bucket locked,
  // replace the old one if it is still the same.
  for (int tries = 0; tries < kUnlockedTriesMax; ++tries) {
    std::optional<StoreOutcome> refusal = StoreOutcome{.status = StoreStatus::kNotFound};
    ItemSpec spec;
    const Original original = PinOriginal(key, lane, [&](const Item& item) {
      refusal = RefusalToJoin(item, added, terms);
      if (!refusal) spec = JoinedSpec(item, added);
      return !refusal;
    });
    if (refusal) return *refusal;
    auto joined = parts_.reserver.Reserve(spec, added.chosen_cas(), {}, lane);
    if (!joined) return {.status = StoreStatus::kNotStored};
    WriteJoined(original.value, added, terms.mode, *joined);

    RaceHook::Reach(RacePoint::kJoin);
    StoreOutcome outcome;
    {
      Index::BucketLock guard(parts_.index, key.hash);
      // Drawn before the old item is found alive, see Versions::DrawCutoff.
      const std::uint64_t number = parts_.versions.Next(lane);
      const LockedItem old = parts_.lookup.FindAlive(guard, key, lane);
      if (!old) return {.status = StoreStatus::kNotFound};
      // Another item has the key now: start again. A pinned item keeps its chunk, so the same chunk
      // means the same value.
      if (old.ref() != original.ref) continue;
      // The CAS can change without the value, when an item is marked as stale.
      refusal = RefusalToJoin(*old, added, terms);
      if (refusal) return *refusal;
      outcome = LinkJoined(guard, original.ref, *joined, added, number, lane);
    }
    parts_.unlinker.ReportCount(lane);
    return outcome;
  }
  return JoinLocked(added, terms, lane);
}

// The value is replaced all the time: copy it while its bucket is locked, so that it cannot be.
StoreOutcome Growth::JoinLocked(const ReservedItem& added, const PublishTerms& terms, Lane& lane) {
  const HashedKey key = added.key();
  const Arena& arena = parts_.classes.arena();
  for (int tries = 0; tries < kLockedTriesMax; ++tries) {
    ItemSpec spec;
    {
      Index::BucketLock guard(parts_.index, key.hash);
      const std::uint64_t number = parts_.versions.Next(lane);
      const LockedItem old = parts_.lookup.FindAlive(guard, key, lane);
      if (!old) return {.status = StoreStatus::kNotFound};
      const ItemRef old_ref = old.ref();
      if (const auto refusal = RefusalToJoin(*old, added, terms)) return *refusal;
      spec = JoinedSpec(*old, added);
      auto joined = parts_.reserver.Reserve(spec, added.chosen_cas(),
                                            {.guard = &guard, .kept = old_ref}, lane);
      if (joined) {
        WriteJoined({arena, *old}, added, terms.mode, *joined);
        const StoreOutcome outcome = LinkJoined(guard, old_ref, *joined, added, number, lane);
        guard.Unlock();
        parts_.unlinker.ReportCount(lane);
        return outcome;
      }
    }
    // Without the bucket locked, Reserve can also move pages. Its chunks are freed at once, and are
    // there for the next try.
    if (!parts_.reserver.Reserve(spec, added.chosen_cas(), {}, lane)) break;
  }
  return {.status = StoreStatus::kNotStored};
}

bool Growth::ChooseCas(Item& item, std::uint64_t cas, Lane& lane) noexcept {
  if (!HasRoom(item, Room::kChosenCas)) return false;
  Renumber(item, lane);
  item.SetChosenCas(cas);
  return true;
}

// True if the item can be given what `room` says without moving.
bool Growth::HasRoom(const Item& item, Room room) const noexcept {
  if (room == Room::kExpiry) return item.can_expire();
  return item.used_bytes() + Item::kChosenCasBytes <= parts_.classes.ChunkBytesOf(item);
}

Growth::RoomyShape Growth::ShapeWithRoom(const Item& old, const HashedKey& key, Room room) {
  // The new item keeps its CAS in the layout if the old one has a chosen CAS.
  const bool has_cas_room = room == Room::kChosenCas || old.has_chosen_cas();
  return {.spec = {.key = key,
                   .client_flags = old.client_flags(),
                   .expiry = old.expiry(),
                   .value_bytes = old.value_bytes(),
                   .has_expiry_room = room == Room::kExpiry || old.can_expire()},
          .chosen_cas = has_cas_room ? std::optional(old.cas()) : std::nullopt};
}

bool Growth::LinkMoved(Index::Guard& guard, ItemRef old_ref, ReservedItem& moved, Lane& lane) {
  const Arena& arena = parts_.classes.arena();
  const Item& old = arena.At(old_ref);
  Item& item = moved.item();
  if (old.has_chosen_cas() && !item.has_chosen_cas()) return false;
  // The copy keeps all that does not depend on the layout: the CAS, the expiry, the marks, the
  // number and the time of the last access.
  if (item.has_chosen_cas()) item.SetChosenCas(old.cas());
  LARDER_CHECK(item.SetExpiry(old.expiry()));
  constexpr std::uint32_t kMoved =
      Item::kWasFetched | Item::kHasBinaryKey | Item::kIsStale | Item::kWinTokenSent;
  item.size_and_state |= old.size_and_state & kMoved;
  item.set_number(old.number());
  item.last_access_low = old.last_access_low;
  item.last_access_high = old.last_access_high;
  const LockedItem linked(guard.Find(moved.key().hash, old_ref), arena);
  parts_.linker.Link(guard, linked, moved, lane);
  return true;
}

RoomStatus Growth::AddRoom(Room room, const HashedKey& key, Lane& lane) {
  LARDER_ASSERT(room != Room::kNone);
  // Without a lock: pin the item, reserve a larger one, copy. Then, with the bucket locked, replace
  // the item if it is still the same.
  for (int tries = 0; tries < kUnlockedTriesMax; ++tries) {
    RoomStatus status = RoomStatus::kMiss;
    RoomyShape shape;
    const Original original = PinOriginal(key, lane, [&](const Item& item) {
      status = HasRoom(item, room) ? RoomStatus::kMade : RoomStatus::kNoMemory;
      if (status == RoomStatus::kNoMemory) shape = ShapeWithRoom(item, key, room);
      return status == RoomStatus::kNoMemory;
    });
    if (status != RoomStatus::kNoMemory) return status;
    auto moved = parts_.reserver.Reserve(shape.spec, shape.chosen_cas, {}, lane);
    if (!moved) return RoomWithoutMemory(room, key, lane);
    CopyValue(original.value, *moved, lane);

    RaceHook::Reach(RacePoint::kAddRoom);
    {
      Index::BucketLock guard(parts_.index, key.hash);
      const LockedItem old = parts_.lookup.FindAlive(guard, key, lane);
      if (!old) return RoomStatus::kMiss;
      // Another item has the key now, or the item needs more room than before: start again.
      if (old.ref() != original.ref || !LinkMoved(guard, original.ref, *moved, lane)) continue;
    }
    parts_.unlinker.ReportCount(lane);
    return RoomStatus::kMade;
  }
  return AddRoomLocked(room, key, lane);
}

// The item is replaced all the time: copy it while its bucket is locked.
RoomStatus Growth::AddRoomLocked(Room room, const HashedKey& key, Lane& lane) {
  for (int tries = 0; tries < kLockedTriesMax; ++tries) {
    RoomyShape shape;
    {
      Index::BucketLock guard(parts_.index, key.hash);
      const LockedItem old = parts_.lookup.FindAlive(guard, key, lane);
      if (!old) return RoomStatus::kMiss;
      if (HasRoom(*old, room)) return RoomStatus::kMade;
      const ItemRef old_ref = old.ref();
      shape = ShapeWithRoom(*old, key, room);
      auto moved = parts_.reserver.Reserve(shape.spec, shape.chosen_cas,
                                           {.guard = &guard, .kept = old_ref}, lane);
      if (moved) {
        CopyValue({parts_.classes.arena(), *old}, *moved, lane);
        LARDER_CHECK(LinkMoved(guard, old_ref, *moved, lane));
        guard.Unlock();
        parts_.unlinker.ReportCount(lane);
        return RoomStatus::kMade;
      }
    }
    // Without the bucket locked, Reserve can also move pages. Its chunks are freed at once, and are
    // there for the next try.
    if (!parts_.reserver.Reserve(shape.spec, shape.chosen_cas, {}, lane)) break;
  }
  return RoomWithoutMemory(room, key, lane);
}

// Looks once more, because another client may have solved or removed the problem.
RoomStatus Growth::RoomWithoutMemory(Room room, const HashedKey& key, Lane& lane) {
  RoomStatus status = RoomStatus::kMiss;
  (void)parts_.lookup.Visit(key, lane, [&](const Item& item) {
    status = HasRoom(item, room) ? RoomStatus::kMade : RoomStatus::kNoMemory;
  });
  return status;
}

}  // namespace larder::slab
