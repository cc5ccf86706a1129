// What a store asks for and what becomes of it; likewise deletes and look-ups. Plain values, for
// any thread; how Cache uses them, slab/cache.h says.
#pragma once

#include <cstdint>

#include "slab/ids.h"
#include "slab/item/expiry.h"
#include "slab/item/hash.h"

namespace larder::slab {

enum class StoreMode : std::uint8_t {
  kSet,
  kAdd,
  kReplace,
  kAppend,
  kPrepend,
  kCas,
  kUnchanged,  // As kCas, but compares Item::number(), which no client can choose. No use.
};

enum class StoreStatus : std::uint8_t {
  kStored,
  kNotStored,  // add: present. replace, append, prepend: absent. append, prepend: would not fit.
  kExists,     // cas, and append or prepend with a CAS: the item was changed since.
  kNotFound,   // cas: absent.
  kTooLarge,   // Over the item limit. set has removed the old item.
  kNoMemory,   // Eviction is off or freed too little. set has removed the old item.
  kForbidden,  // The one key that is never stored.
};

struct StoreOutcome {
  StoreStatus status = StoreStatus::kNotStored;
  ClassId class_id = 0;            // Of the item that was stored, or that refused a cas.
  std::uint32_t joined_bytes = 0;  // append and prepend: of the value that was stored.
  std::uint64_t cas = 0;           // Of the item that was stored; 0 if none was.
  Expiry expiry = {};              // kUnchanged: of the item that was replaced.
};

enum class DeleteStatus : std::uint8_t { kDeleted, kNotFound, kExists };

struct DeleteOutcome {
  DeleteStatus status = DeleteStatus::kNotFound;
  ClassId class_id = 0;  // Of the item that was removed.
};

// What an item is made of but for its value.
struct ItemSpec {
  HashedKey key;
  std::uint32_t client_flags = 0;
  Expiry expiry = {};
  std::uint32_t value_bytes = 0;
  bool has_expiry_room = false;  // Though it may never expire: for an expiry that is still to come.

  bool can_expire() const { return has_expiry_room || expiry.is_set(); }
};

// What an item may get only later, and then needs room for.
enum class Room : std::uint8_t { kNone, kChosenCas, kExpiry };

enum class RoomStatus : std::uint8_t {
  kMade,
  kMiss,  // There is no such item any more.
  kNoMemory,
};

// How a reserved item becomes visible.
struct PublishTerms {
  StoreMode mode = StoreMode::kSet;
  std::uint64_t cas_unique = 0;  // As for Cache::Store; kUnchanged: the number.
  // kCas: a cas_unique older than the item stores too. The new item is stale, and keeps the old
  // one's expiry and Item::kIsWon. REQUIRES: it was reserved with ItemSpec::has_expiry_room.
  bool is_stale_allowed = false;
  bool creates = false;  // kAppend, kPrepend: where there is no item, this becomes it.
  // kUnchanged: the item keeps the expiry that it has by then, for a touch changes no number.
  // kExists if it was given one, and no room was reserved for it: look again.
  bool keeps_expiry = false;
};

enum class Presence : std::uint8_t {
  kHit,
  kMiss,
  kExpired,  // Was there past its time; is removed now.
  kFlushed,  // Was there before the last flush; is removed now.
  kNoRoom,   // Is there, and no memory for its expiry: VisitToExpire.
};

}  // namespace larder::slab
