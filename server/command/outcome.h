// What became of a command: the same values for every protocol.
#pragma once

#include <cstdint>

#include "slab/classes/size_ladder.h"
#include "slab/store.h"

namespace larder::server {

// The protocol that a command came by. memcached counts some outcomes in one of them only.
enum class Protocol : std::uint8_t { kText, kMeta, kBinary };

enum class Operation : std::uint8_t {
  kOther,  // Nothing that is counted by its outcome.
  kGet,
  kGetAndTouch,
  kTouch,
  kStore,
  kDelete,
  kInvalidate,  // An item is marked as stale, or loses its value.
  kIncr,
  kDecr,
};

enum class CommandResult : std::uint8_t {
  kDone,        // Found, stored, removed, changed. The first seven are in the order of StoreStatus.
  kNotStored,   // The key has an item and should not, or has none and should.
  kExists,      // The item has another CAS than the command names.
  kMiss,        // There is no item, or none alive.
  kTooLarge,    // The item would be over the item limit.
  kNoMemory,    // Eviction is off or has freed too little.
  kForbidden,   // The one key that is never stored.
  kNotNumeric,  // kIncr, kDecr: the value is no number.
  kCluster,     // kGet, kGetAndTouch: a miss, but the key is that of the cluster's value.
};

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

constexpr CommandResult ResultOf(slab::Presence presence) {
  if (presence == slab::Presence::kHit) return CommandResult::kDone;
  return presence == slab::Presence::kNoRoom ? CommandResult::kNoMemory : CommandResult::kMiss;
}

// A store was refused because there is no room for its item.
constexpr bool NeedsRoom(CommandResult result) {
  return result == CommandResult::kTooLarge || result == CommandResult::kNoMemory;
}

// What is known of a key that was missed.
enum class MissReason : std::uint8_t {
  kNotSeen,  // It was never there, or too long ago.
  kEvicted,
  kExpired,
  kDeleted,
  kFlushed,
  kTooLarge,  // A set was refused for its size.
  kNoMemory,  // A set was refused because there was no memory.
};

struct Outcome {
  Operation operation = Operation::kOther;
  CommandResult result = CommandResult::kDone;
  MissReason reason = MissReason::kNotSeen;        // Of a kMiss of kGet and kGetAndTouch.
  slab::Presence presence = slab::Presence::kHit;  // What these two found, to the letter.
  std::uint32_t value_bytes = 0;                   // Of the value that was found or sent.
  slab::ClassId class_id = 0;  // Of the item that was found, stored or removed, or had another CAS.
  slab::StoreMode mode = slab::StoreMode::kSet;  // Of a kStore.
};

}  // namespace larder::server
