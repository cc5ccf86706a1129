#include "server/command/command_events.h"

#include <algorithm>

#include "server/watch/watch_hub.h"
#include "slab/cache.h"
#include "slab/check.h"

namespace larder::server {
namespace {

using slab::Presence;
using slab::StoreMode;

// The status of an item_get.
std::string_view StatusOf(Presence presence) {
  switch (presence) {
    case Presence::kHit:
    case Presence::kNoRoom:
      return "found";
    case Presence::kMiss:
      return "not_found";
    case Presence::kExpired:
      return "expired";
    // memcached has no drops: for its readers they are flushes of some keys.
    case Presence::kFlushed:
    case Presence::kDropped:
      return "flushed";
  }
  LARDER_ASSERT(false && "a presence without a status");
  return "not_found";
}

// The status of an item_store.
std::string_view StatusOf(CommandResult result) {
  switch (result) {
    case CommandResult::kDone:
      return "stored";
    case CommandResult::kExists:
      return "exists";
    case CommandResult::kMiss:
      return "not_found";
    case CommandResult::kTooLarge:
      return "too_large";
    case CommandResult::kNoMemory:
      return "no_memory";
    default:
      return "not_stored";
  }
}

// The command of a store.
std::string_view CommandOf(StoreMode mode) {
  switch (mode) {
    case StoreMode::kSet:
      return "set";
    case StoreMode::kAdd:
      return "add";
    case StoreMode::kReplace:
      return "replace";
    case StoreMode::kAppend:
      return "append";
    case StoreMode::kPrepend:
      return "prepend";
    case StoreMode::kCas:
    case StoreMode::kUnchanged:
      break;
  }
  return "cas";
}

// The command of a slow one.
std::string_view CommandOf(const Outcome& outcome) {
  switch (outcome.operation) {
    case Operation::kOther:
      return "other";
    case Operation::kGet:
      return "get";
    case Operation::kGetAndTouch:
      return "gat";
    case Operation::kTouch:
      return "touch";
    case Operation::kStore:
      return CommandOf(outcome.mode);
    case Operation::kDelete:
    case Operation::kInvalidate:
    case Operation::kEmpty:
      return "delete";
    case Operation::kIncr:
    case Operation::kCreateNumber:
      return "incr";
    case Operation::kDecr:
      return "decr";
    case Operation::kDebug:
      return "me";
  }
  LARDER_ASSERT(false && "an operation without a name");
  return "other";
}

// The cause of a miss.
std::string_view CauseOf(MissReason reason) {
  switch (reason) {
    case MissReason::kNotSeen:
      return "not_seen";
    case MissReason::kEvicted:
      return "evicted";
    case MissReason::kExpired:
      return "expired";
    case MissReason::kDeleted:
      return "deleted";
    case MissReason::kFlushed:
      return "flushed";
    case MissReason::kDropped:
      return "dropped";
    case MissReason::kTooLarge:
      return "too_large";
    case MissReason::kNoMemory:
      return "no_memory";
  }
  LARDER_ASSERT(false && "a reason without a name");
  return "not_seen";
}

bool IsJoin(StoreMode mode) { return mode == StoreMode::kAppend || mode == StoreMode::kPrepend; }

}  // namespace

CommandEvents::CommandEvents(Protocol protocol, Shared& shared, slab::Lane& lane)
    : protocol_(protocol), shared_(shared), lane_(lane), source_(shared.watch.SourceOf(lane)) {}

void CommandEvents::Begin(int client) {
  client_ = client;
  old_ = {};
  begun_ = Clock::now();
}

void CommandEvents::Before(const slab::HashedKey& key, IsWrite is_write) {
  if (source_.Wants(WatchStream::kSlow)) begun_ = Clock::now();
  if (is_write == IsWrite::kNo) return;
  old_.presence = shared_.cache.Visit(key, lane_, [this](const slab::Item& item) {
    old_.class_id = shared_.cache.ClassOf(item);
    old_.value_bytes = item.value_bytes();
    old_.ttl_s = TtlOf(item.expiry());
  });
}

void CommandEvents::After(std::string_view key, const Outcome& outcome) {
  if (source_.Wants(WatchStream::kSlow)) AddSlow(key, outcome);
  const bool is_done = outcome.result == CommandResult::kDone;
  switch (outcome.operation) {
    case Operation::kOther:
      break;
    case Operation::kGet:
    case Operation::kGetAndTouch:
    case Operation::kTouch:
    case Operation::kDebug:
      AfterGet(key, outcome);
      break;
    case Operation::kStore:
      AfterStore(key, outcome);
      break;
    case Operation::kDelete:
      AddGet(key, old_);
      if (is_done) AddDeleted(key, outcome.class_id);
      break;
    case Operation::kInvalidate:
      AddGet(key, old_);
      if (is_done) AddInvalidated(key, "delete");
      break;
    case Operation::kEmpty:
      AddGet(key, old_);
      if (is_done) AddEmptied(key);
      break;
    case Operation::kIncr:
    case Operation::kDecr:
      AddGet(key, old_);
      if (is_done) AddInvalidated(key, "incr");
      break;
    case Operation::kCreateNumber:
      AddGet(key, old_);
      AfterStore(key, outcome);
      break;
  }
  old_ = {};
}

void CommandEvents::AfterGet(std::string_view key, const Outcome& outcome) {
  // The cluster's configuration is not an item.
  if (outcome.result == CommandResult::kCluster) return;
  const bool is_found = outcome.presence == Presence::kHit;
  AddGet(key, {.presence = outcome.presence,
               .class_id = is_found ? outcome.class_id : slab::ClassId{0},
               .value_bytes = is_found ? outcome.value_bytes : 0});
  const bool is_read =
      outcome.operation == Operation::kGet || outcome.operation == Operation::kGetAndTouch;
  if (is_read && outcome.result == CommandResult::kMiss) AddMiss(key, outcome);
  if (outcome.operation != Operation::kGet && outcome.operation != Operation::kDebug &&
      outcome.result == CommandResult::kDone) {
    AddInvalidated(key, "touch");
  }
}

void CommandEvents::AfterStore(std::string_view key, const Outcome& outcome) {
  const bool is_refused = NeedsRoom(outcome.result);
  if (!is_refused) AddGet(key, old_);
  AddStore(key, outcome);
  if (is_refused) AddGet(key, old_);
  // Also if there was no old item in front of the command: another client may have stored one.
  if (outcome.result == CommandResult::kDone) AddInvalidated(key, "set");
}

void CommandEvents::AddGet(std::string_view key, const OldItem& found) {
  source_.Add({.stream = WatchStream::kFetchers,
               .kind = EventKind::kItemGet,
               .class_id = found.class_id,
               .client = client_,
               .value_bytes = found.value_bytes,
               .status = StatusOf(found.presence),
               .text = key});
}

void CommandEvents::AddStore(std::string_view key, const Outcome& outcome) {
  const bool is_done = outcome.result == CommandResult::kDone;
  // What is joined keeps the expiry of the old item.
  const bool is_joined = is_done && IsJoin(outcome.mode);
  source_.Add({.stream = WatchStream::kMutations,
               .kind = EventKind::kItemStore,
               .class_id = outcome.class_id,
               .client = client_,
               .value_bytes = outcome.value_bytes,
               .ttl_s = is_joined ? old_.ttl_s : TtlOf(outcome.expiry),
               .status = StatusOf(outcome.result),
               .command = CommandOf(outcome.mode),
               .text = key});
}

// md with the flag x: the item is stored again without its value.
void CommandEvents::AddEmptied(std::string_view key) {
  AddGet(key, old_);
  source_.Add({.stream = WatchStream::kMutations,
               .kind = EventKind::kItemStore,
               .class_id = old_.class_id,
               .client = client_,
               .ttl_s = old_.ttl_s,
               .status = StatusOf(CommandResult::kDone),
               .command = CommandOf(StoreMode::kSet),
               .text = key});
  AddDeleted(key, old_.class_id);
  AddInvalidated(key, "delete");
}

void CommandEvents::AddDeleted(std::string_view key, slab::ClassId class_id) {
  source_.Add({.stream = WatchStream::kDeletions,
               .kind = EventKind::kDeleted,
               .class_id = class_id,
               .client = client_,
               .value_bytes = old_.value_bytes,
               .command = protocol_ == Protocol::kMeta ? "md" : "delete",
               .text = key});
}

void CommandEvents::AddMiss(std::string_view key, const Outcome& outcome) {
  source_.Add({.stream = WatchStream::kMisses,
               .kind = EventKind::kMiss,
               .client = client_,
               .status = CauseOf(outcome.reason),
               .text = key});
}

void CommandEvents::AddInvalidated(std::string_view key, std::string_view cause) {
  source_.Add({.stream = WatchStream::kInvalidations,
               .kind = EventKind::kInvalidated,
               .client = client_,
               .status = cause,
               .text = key});
}

void CommandEvents::AddSlow(std::string_view key, const Outcome& outcome) {
  const Clock::time_point now = Clock::now();
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(now - begun_);
  const auto took_us = static_cast<std::uint64_t>(std::max<std::int64_t>(took.count(), 0));
  if (took_us < source_.slow_us()) return;
  // A line that could not be parsed may have anything in the place of the key.
  if (outcome.operation == Operation::kOther) key = {};
  source_.Add({.stream = WatchStream::kSlow,
               .kind = EventKind::kSlow,
               .client = client_,
               .duration_us = took_us,
               .command = CommandOf(outcome),
               .text = key});
}

std::int64_t CommandEvents::TtlOf(slab::Expiry expiry) const {
  if (!expiry.is_set()) return 0;
  return std::max<std::int64_t>(expiry.SecondsLeft(lane_), -1);
}

}  // namespace larder::server
