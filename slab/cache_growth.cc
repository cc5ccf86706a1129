// How items outgrow their chunks.
#include <algorithm>
#include <cstring>
#include <optional>

#include "slab/cache.h"
#include "slab/check.h"

namespace larder::slab {
namespace {

constexpr int kGrowthTriesMax = 64;  // Lost races before an append gives up.

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

std::optional<Cache::Original> Cache::PinOriginal(const HashedKey& key, Lane& lane) {
  Original original;
  const Presence presence = Visit(key, lane, [&](Item& item) {
    original = {.spec = {.key = key,
                         .client_flags = item.client_flags(),
                         .expires_at_s = item.expires_at_s(),
                         .value_bytes = item.value_bytes(),
                         .has_expiry_room = item.can_expire()},
                .number = item.number(),
                .cas = item.cas(),
                .has_chosen_cas = item.has_chosen_cas(),
                .class_id = ClassOf(item),
                .pin = Pin(item),
                .value = Value(item)};
  });
  if (presence != Presence::kHit) return std::nullopt;
  return original;
}

StoreOutcome Cache::Concatenate(const ReservedItem& added, const PublishTerms& terms, Lane& lane) {
  const HashedKey key = added.key();
  const std::uint32_t added_bytes = added.value_bytes();
  const Item& added_item = arena_->At(added.ref_);
  const auto chosen_cas =
      added_item.has_chosen_cas() ? std::optional(added_item.cas()) : std::nullopt;
  // The old value may be large, so it is copied without a lock, pinned; if it was changed in the
  // meantime, once more.
  for (int tries = 0; tries < kGrowthTriesMax; ++tries) {
    const auto original = PinOriginal(key, lane);
    if (!original) return {.status = StoreStatus::kNotFound};
    if (terms.cas_unique != 0 && terms.cas_unique != original->cas) {
      return {.status = StoreStatus::kExists, .class_id = original->class_id};
    }
    if (!original->pin) return {.status = StoreStatus::kNotStored};
    const std::uint32_t old_bytes = original->spec.value_bytes;
    if (added_bytes > item_bytes_max_ || old_bytes > item_bytes_max_ - added_bytes) {
      return {.status = StoreStatus::kNotStored};
    }
    ItemSpec spec = original->spec;
    spec.value_bytes = old_bytes + added_bytes;
    auto joined = Reserve(spec, lane, chosen_cas);
    if (!joined) return {.status = StoreStatus::kNotStored};
    ValueCursor to = joined->value();
    if (terms.mode == StoreMode::kAppend) {
      CopyPieces(original->value, to, old_bytes);
      CopyPieces(added.value(), to, added_bytes);
    } else {
      CopyPieces(added.value(), to, added_bytes);
      CopyPieces(original->value, to, old_bytes);
    }

    Index::Guard guard = index_->Lock(key.hash);
    const Index::Slot slot = FindAlive(guard, key, lane);
    if (!slot) return {.status = StoreStatus::kNotFound};
    const Item& old = arena_->At(slot.ref());
    if (old.number() != original->number) continue;
    Item& item = arena_->At(joined->ref_);
    // A touch leaves the number as it was, and may have brought the item its first expiry.
    if (!item.SetExpiry(old.expires_at_s())) continue;
    const ItemRef ref = joined->Release();
    item.size_and_state |= added_item.size_and_state & Item::kHasBinaryKey;
    item.set_number(NextCas(lane));
    const StoreOutcome outcome = {.status = StoreStatus::kStored,
                                  .class_id = ClassOf(item),
                                  .joined_bytes = spec.value_bytes,
                                  .cas = item.cas()};
    Link(guard, key.hash, slot, ref, lane);
    lane.total_items.Add();
    guard.Unlock();
    TellIndex(lane);
    return outcome;
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

bool Cache::AddRoom(Room room, const HashedKey& key, Lane& lane) {
  for (int tries = 0; tries < kGrowthTriesMax; ++tries) {
    const auto original = PinOriginal(key, lane);
    if (!original || !original->pin) return false;
    ItemSpec spec = original->spec;
    spec.has_expiry_room |= room == Room::kExpiry;
    const bool has_cas_room = room == Room::kChosenCas || original->has_chosen_cas;
    auto moved = Reserve(spec, lane, has_cas_room ? std::optional(original->cas) : std::nullopt);
    if (!moved) return false;
    ValueCursor to = moved->value();
    CopyPieces(original->value, to, original->spec.value_bytes);

    Index::Guard guard = index_->Lock(key.hash);
    const Index::Slot slot = FindAlive(guard, key, lane);
    if (!slot) return false;
    const Item& old = arena_->At(slot.ref());
    if (old.number() != original->number) continue;
    Item& item = arena_->At(moved->ref_);
    if (!item.SetExpiry(old.expires_at_s())) continue;
    const ItemRef ref = moved->Release();
    constexpr std::uint32_t kMoved =
        Item::kWasFetched | Item::kHasBinaryKey | Item::kIsStale | Item::kIsWon;
    item.size_and_state |= old.size_and_state & kMoved;
    item.set_number(original->number);
    item.last_access_low = old.last_access_low;
    item.last_access_high = old.last_access_high;
    Link(guard, key.hash, slot, ref, lane);
    guard.Unlock();
    TellIndex(lane);
    return true;
  }
  return false;
}

}  // namespace larder::slab
