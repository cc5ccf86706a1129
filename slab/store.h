// What a store asks for and what it results in, and the results of deletes and lookups. All types
// are plain values. See slab/cache.h for the functions that use them.
#pragma once

#include <cstdint>

#include "slab/ids.h"
#include "slab/item/expiry.h"
#include "slab/item/hash.h"

namespace larder::slab {

// The condition of a store, and what it does with the old value.
enum class StoreMode : std::uint8_t {
  // Stores always.
  kSet,
  // Stores only if there is no item.
  kAdd,
  // Stores only if there is an item.
  kReplace,
  // Adds the value behind that of the old item, which must exist.
  kAppend,
  // Adds the value in front of that of the old item, which must exist.
  kPrepend,
  // Stores only if the item's CAS is the given one.
  kCas,
  // As kCas, but compares Item::number(), which no client can choose. Does not count as a use.
  kUnchanged,
};

// The result of a store.
enum class StoreStatus : std::uint8_t {
  kStored,
  // add: the key is present. replace, append, prepend: it is absent. append, prepend: too large.
  kNotStored,
  // cas, and append or prepend with a CAS: the item was changed since the client read it.
  kExists,
  // cas: the key is absent.
  kNotFound,
  // Over the item limit. A set has removed the old item.
  kTooLarge,
  // No memory: eviction is off or freed too little. A set has removed the old item.
  kNoMemory,
  // The one key that is never stored.
  kForbidden,
};

// The result of a store, with what replies and statistics need.
struct StoreOutcome {
  StoreStatus status = StoreStatus::kNotStored;
  // Class of the item that was stored, or of the item that refused the store.
  ClassId class_id = 0;
  // append and prepend: bytes of the value that was stored.
  std::uint32_t joined_bytes = 0;
  // CAS of the item that was stored; 0 if none was.
  std::uint64_t cas = 0;
  // kUnchanged: expiry of the item that was replaced.
  Expiry expiry = {};
};

// What a delete has done. kExists: the item has another CAS than the given one.
enum class DeleteStatus : std::uint8_t { kDeleted, kNotFound, kExists };

// The result of a delete, with what statistics need.
struct DeleteOutcome {
  DeleteStatus status = DeleteStatus::kNotFound;
  // Class of the item that was removed; 0 if none was.
  ClassId class_id = 0;
};

// Everything that makes up an item besides its value. `key` is a view: it must live as long as the
// call.
struct ItemSpec {
  HashedKey key;
  std::uint32_t client_flags = 0;
  Expiry expiry = {};
  // Length of the value.
  std::uint32_t value_bytes = 0;
  // The item gets room for an expiry even if it has none yet, so that it can be given one later.
  bool has_expiry_room = false;

  // The item has room for an expiry.
  bool can_expire() const { return has_expiry_room || expiry.is_set(); }
};

// What an item may get after it was stored, and for which its chunk may lack the room.
enum class Room : std::uint8_t { kNone, kChosenCas, kExpiry };

// The result of making room in an item.
enum class RoomStatus : std::uint8_t {
  // The item has the room now.
  kMade,
  // There is no such item, or it is no longer there.
  kMiss,
  // There is no memory for a larger chunk.
  kNoMemory,
};

// How a reserved item becomes visible: the terms of Cache::Publish.
struct PublishTerms {
  StoreMode mode = StoreMode::kSet;
  // The CAS to compare, as for Cache::Store. For kUnchanged: the number to compare.
  std::uint64_t cas_unique = 0;
  // kCas only: stores the item even if cas_unique is older than the present item. The new item is
  // marked as stale, and keeps the expiry and the Item::kWinTokenSent mark of the present one.
  // REQUIRES: the item was reserved with ItemSpec::has_expiry_room.
  bool is_stale_allowed = false;
  // kAppend, kPrepend only: if there is no item, the new value is stored as one.
  bool creates = false;
  // kUnchanged only: the item keeps the expiry that the old item has at that moment, because a
  // touch does not change the number. The result is kExists if the old item was given an expiry and
  // no room was reserved for it: the caller has to read the item again.
  bool keeps_expiry = false;
};

// The result of a lookup.
enum class Presence : std::uint8_t {
  // The item is present and alive.
  kHit,
  // There is no such item.
  kMiss,
  // The item had expired, and is removed now.
  kExpired,
  // The item was written before the last flush, and is removed now.
  kFlushed,
  // A prefix of its key was dropped after the item was written; it is removed now.
  kDropped,
  // VisitToExpire only: the item is present, but there is no memory for its expiry.
  kNoRoom,
};

}  // namespace larder::slab
