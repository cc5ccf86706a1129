// The outcome of a command, described in the same terms for every protocol.
#pragma once

#include <cstdint>

#include "slab/classes/size_ladder.h"
#include "slab/item/expiry.h"
#include "slab/store.h"

namespace larder::server {

// The protocol of the client that sent a command. memcached counts some outcomes in one protocol
// only.
enum class Protocol : std::uint8_t { kText, kMeta, kBinary };

// The commands, as far as their outcomes are counted differently.
enum class Operation : std::uint8_t {
  // A command whose outcome is not counted.
  kOther,
  // A retrieval that does not set the item's expiry.
  kGet,
  // A retrieval that also sets the item's expiry.
  kGetAndTouch,
  // Sets the item's expiry without a retrieval of its value.
  kTouch,
  // Any command that stores a value; Outcome::mode says which.
  kStore,
  // Removes the item.
  kDelete,
  // An item is marked as stale.
  kInvalidate,
  // The value of an item is removed; the item stays.
  kEmpty,
  // Change a number, or create it.
  kIncr,
  kDecr,
  // A command that changes a number has created it, because there was none, or would have.
  kCreateNumber,
  // Shows the state of an item.
  kDebug,
};

// What became of a command. The first seven values are in the order of slab::StoreStatus.
enum class CommandResult : std::uint8_t {
  // The item was found, stored, removed or changed.
  kDone,
  // A store was refused because the key has an item and must not have one, or has none and must.
  kNotStored,
  // The item has another CAS than the command names.
  kExists,
  // There is no item with this key, or it has expired.
  kMiss,
  // The item would exceed the size limit of items.
  kTooLarge,
  // There is no memory: eviction is switched off, or has freed too little.
  kNoMemory,
  // The key is the one that the cache never stores.
  kForbidden,
  // Only kIncr and kDecr: the value is not a number.
  kNotNumeric,
  // Only kGet and kGetAndTouch: the cache has no item, but the key is the one under which the
  // server answers with the cluster's configuration.
  kCluster,
};

// The result that corresponds to a status of the cache. The two enumerations agree in their values,
// as the assertions check, so that nothing is computed for each store.
constexpr CommandResult ResultOf(slab::StoreStatus status) {
  return static_cast<CommandResult>(status);
}
static_assert(ResultOf(slab::StoreStatus::kStored) == CommandResult::kDone);
static_assert(ResultOf(slab::StoreStatus::kNotStored) == CommandResult::kNotStored);
static_assert(ResultOf(slab::StoreStatus::kExists) == CommandResult::kExists);
static_assert(ResultOf(slab::StoreStatus::kNotFound) == CommandResult::kMiss);
static_assert(ResultOf(slab::StoreStatus::kTooLarge) == CommandResult::kTooLarge);
static_assert(ResultOf(slab::StoreStatus::kNoMemory) == CommandResult::kNoMemory);
static_assert(ResultOf(slab::StoreStatus::kForbidden) == CommandResult::kForbidden);

// The result of a look-up. Items that had expired, or were flushed or dropped, count as misses.
constexpr CommandResult ResultOf(slab::Presence presence) {
  if (presence == slab::Presence::kHit) return CommandResult::kDone;
  return presence == slab::Presence::kNoRoom ? CommandResult::kNoMemory : CommandResult::kMiss;
}

// Whether a store was refused because there is no room for its item. Such a set also removes the
// old item; see OldItem.
constexpr bool NeedsRoom(CommandResult result) {
  return result == CommandResult::kTooLarge || result == CommandResult::kNoMemory;
}

// Why a key was missed, as far as the cache remembers.
enum class MissReason : std::uint8_t {
  // The key was never stored, or was removed too long ago to be remembered.
  kNotSeen,
  // Its item was removed to make room for others.
  kEvicted,
  // The expiry of its item had passed.
  kExpired,
  // A client deleted the key.
  kDeleted,
  // A client flushed the cache.
  kFlushed,
  // A client dropped a prefix of the key.
  kDropped,
  // A set for the key was refused because of the size of its item.
  kTooLarge,
  // A set for the key was refused because there was no memory.
  kNoMemory,
};

// Outcome describes one executed command to the observers.
//
// Threads: a value.
struct Outcome {
  Operation operation = Operation::kOther;
  CommandResult result = CommandResult::kDone;
  // Only if kGet or kGetAndTouch had the result kMiss.
  MissReason reason = MissReason::kNotSeen;
  // What a look-up found in detail: `result` makes no difference between an item that was not there
  // and one that had expired.
  slab::Presence presence = slab::Presence::kHit;
  // The length in bytes of the value that was found or stored, or that the client sent.
  std::uint32_t value_bytes = 0;
  // The slab class of the item that was found, stored or removed, or whose CAS was another one than
  // that of a store; otherwise 0.
  slab::ClassId class_id = 0;
  // Only for kStore: the kind of store.
  slab::StoreMode mode = slab::StoreMode::kSet;
  // Only for kStore and kCreateNumber: the expiry that the client asked for.
  slab::Expiry expiry = {};
};

}  // namespace larder::server
