// The operations of Commands that are too long, or too rare, to be inlined.
#include "server/command/commands.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "protocol/encoding/numbers.h"
#include "server/watch/watch_hub.h"
#include "slab/check.h"
#include "slab/sync/race_hook.h"

namespace larder::server {
namespace {

using slab::Expiry;
using slab::Item;
using slab::Presence;
using slab::Room;
using slab::StoreMode;
using slab::StoreStatus;

// The reason of a miss for the reason of a removal. Items that were lost when their page was moved
// count as evicted.
MissReason ReasonOf(slab::RemovalReason reason) {
  switch (reason) {
    case slab::RemovalReason::kEvicted:
    case slab::RemovalReason::kMoved:
      return MissReason::kEvicted;
    case slab::RemovalReason::kExpired:
      return MissReason::kExpired;
    case slab::RemovalReason::kDeleted:
      return MissReason::kDeleted;
    case slab::RemovalReason::kFlushed:
      return MissReason::kFlushed;
    case slab::RemovalReason::kDropped:
      return MissReason::kDropped;
    case slab::RemovalReason::kTooLarge:
      return MissReason::kTooLarge;
    case slab::RemovalReason::kNoMemory:
      return MissReason::kNoMemory;
  }
  LARDER_ASSERT(false && "a removal without a reason");
  return MissReason::kNotSeen;
}

}  // namespace

Expiry Commands::ExpiresLater(std::uint32_t exptime) const {
  LARDER_ASSERT(exptime != 0);
  // The sweep for expired items learns from this counter that there is something to find.
  lane_.expiries.Add();
  return exptime <= kRelativeExptimeMax ? Expiry::At(lane_.now_s + exptime)
                                        : Expiry::AtUnixTime(exptime, lane_);
}

// Counted like any other expiry: the sweep has an item to remove.
Expiry Commands::LongPast() const {
  lane_.expiries.Add();
  return Expiry::LongPast();
}

// Called under the bucket's lock, so that the item is still in the cache when it is pinned.
char* Commands::PinValue(Item& item, std::uint32_t value_bytes, char* out) {
  LARDER_ASSERT(value_bytes >= kPinBytesMin);
  LARDER_ASSERT(output_.HasRoom(out, kTailBytesMax));
  // The pin is inserted behind what was committed, so the head of the reply is committed first.
  output_.Commit(out);
  output_.AppendPinned(cache_.Pin(item), cache_.Value(item), value_bytes);
  return out;
}

// --- Retrieval ---------------------------------------------------------------------------------

std::shared_ptr<const ClusterSnapshot> Commands::ReportMiss(std::string_view key,
                                                            Operation operation,
                                                            Presence presence) {
  LARDER_ASSERT(operation == Operation::kGet || operation == Operation::kGetAndTouch);
  auto cluster = FindCluster(key, operation);
  if (cluster == nullptr) ReportPlainMiss(key, operation, presence);
  return cluster;
}

std::shared_ptr<const ClusterSnapshot> Commands::FindCluster(std::string_view key,
                                                             Operation operation) {
  // Nearly every miss ends here: the lock of Current() is taken for one key only.
  if (key != kClusterKey) return nullptr;
  auto cluster = shared_.cluster.Current();
  if (cluster != nullptr)
    observers_.Report({.operation = operation, .result = CommandResult::kCluster});
  return cluster;
}

void Commands::ReportPlainMiss(std::string_view key, Operation operation, Presence presence) {
  LARDER_ASSERT(presence != Presence::kHit && presence != Presence::kNoRoom);
  const std::uint64_t hash = cache_.Hash(key);
  const auto removal = cache_.LastRemovalOf(hash, lane_);
  if (removal) cache_.NoteMiss(hash, *removal, lane_);
  cache_.NoteAbsent(hash, lane_);
  observers_.Report({.operation = operation,
                     .result = CommandResult::kMiss,
                     .reason = removal ? ReasonOf(removal->reason) : MissReason::kNotSeen,
                     .presence = presence});
}

// --- Storage -----------------------------------------------------------------------------------

slab::StoreOutcome Commands::Store(const StorePlan& plan, std::string_view value) {
  LARDER_ASSERT(value.size() == plan.spec.value_bytes);
  if (plan.is_plain()) {
    return Store({.mode = plan.terms.mode,
                  .cas_unique = plan.terms.cas_unique,
                  .if_refused = plan.if_refused},
                 plan.spec, value);
  }
  const slab::StoreOutcome outcome = StoreUnreported(plan, value);
  if (NeedsRoom(ResultOf(outcome.status))) {
    HandleRefusal(plan.spec, plan.terms.mode, outcome.status, plan.if_refused);
  } else {
    ReportStore(plan.terms.mode, plan.spec, outcome);
  }
  return outcome;
}

slab::StoreOutcome Commands::StoreUnreported(const StorePlan& plan, std::string_view value) {
  if (plan.is_plain()) {
    return cache_.Store(plan.terms.mode, plan.spec, value, plan.terms.cas_unique, lane_);
  }
  // More than Cache::Store can do: the item is reserved, filled and published.
  auto reserved = cache_.Reserve(plan.spec, lane_, plan.chosen_cas);
  if (!reserved) return {.status = reserved.error()};
  reserved->value().Write(value);
  reserved->SetMark(plan.mark);
  return cache_.Publish(std::move(*reserved), plan.terms, lane_);
}

void Commands::ReportWholeStore(StoreMode mode, const slab::ItemSpec& spec,
                                const slab::StoreOutcome& outcome) {
  observers_.Report({.operation = Operation::kStore,
                     .result = ResultOf(outcome.status),
                     .value_bytes = std::max(spec.value_bytes, outcome.joined_bytes),
                     .class_id = outcome.class_id,
                     .mode = mode,
                     .expiry = spec.expiry});
}

void Commands::HandleRefusal(const slab::ItemSpec& spec, StoreMode mode, StoreStatus why,
                             OldItem if_refused) {
  if (if_refused == OldItem::kIsRemoved) cache_.DropRefused(spec.key, why, lane_);
  observers_.Report({.operation = Operation::kStore,
                     .result = ResultOf(why),
                     .mode = mode,
                     .expiry = spec.expiry});
}

std::optional<StoreStatus> Commands::RefusalOf(const Upload& upload) {
  const StorePlan& plan = upload.plan();
  // An upload begins and ends outside of the batches that show outcomes to the observers.
  const ShownAlone shown(observers_, client_, plan.spec.key);
  const auto refusal = cache_.NeverStored(plan.spec);
  if (!refusal) return std::nullopt;
  HandleRefusal(plan.spec, plan.terms.mode, *refusal, plan.if_refused);
  return refusal;
}

// On success the upload owns the item: nothing is visible to other clients before it is published.
std::optional<StoreStatus> Commands::ReserveRoom(Upload& upload, UploadMemory::Share share) {
  const StorePlan& plan = upload.plan();
  const ShownAlone shown(observers_, client_, plan.spec.key);
  auto reserved = cache_.Reserve(plan.spec, lane_, plan.chosen_cas);
  if (!reserved) {
    HandleRefusal(plan.spec, plan.terms.mode, reserved.error(), plan.if_refused);
    return reserved.error();
  }
  reserved->SetMark(plan.mark);
  upload.Reserve(std::move(*reserved), std::move(share), lane_.now_s);
  return std::nullopt;
}

// A large value is in a reserved item already, which only has to be published. A small one was
// staged and is stored like any value that arrives completely.
slab::StoreOutcome Commands::Store(Upload& upload) {
  LARDER_ASSERT(upload.left_bytes() == 0);
  const StorePlan& plan = upload.plan();
  const ShownAlone shown(observers_, client_, plan.spec.key);
  slab::StoreOutcome outcome;
  if (upload.is_reserved()) {
    outcome = cache_.Publish(upload.TakeItem(), plan.terms, lane_);
    if (NeedsRoom(ResultOf(outcome.status))) {
      HandleRefusal(plan.spec, plan.terms.mode, outcome.status, plan.if_refused);
    } else {
      ReportStore(plan.terms.mode, plan.spec, outcome);
    }
  } else {
    // The expiry was counted when the request arrived, and a pass of the sweep may have ended
    // since: it is counted again, so that another pass follows.
    if (plan.spec.expiry.is_set()) lane_.expiries.Add();
    outcome = Store(plan, upload.staged());
  }
  return outcome;
}

// --- Other commands ----------------------------------------------------------------------------

// The two calls of the cache report their results in different forms.
CommandResult Commands::Delete(const slab::HashedKey& key,
                               std::optional<std::uint64_t> cas_unique) {
  slab::DeleteOutcome outcome;
  if (cas_unique) {
    outcome = cache_.DeleteIfUnchanged(key, *cas_unique, lane_);
  } else if (const auto class_id = cache_.Delete(key, lane_)) {
    outcome = {.status = slab::DeleteStatus::kDeleted, .class_id = *class_id};
  }
  CommandResult result = CommandResult::kMiss;
  if (outcome.status == slab::DeleteStatus::kDeleted) result = CommandResult::kDone;
  if (outcome.status == slab::DeleteStatus::kExists) result = CommandResult::kExists;
  LARDER_ASSERT((result == CommandResult::kDone) == (outcome.class_id != 0));
  observers_.Report(
      {.operation = Operation::kDelete, .result = result, .class_id = outcome.class_id});
  return result;
}

// The room is checked before anything is changed.
Room Commands::Renew(Item& item, std::optional<std::uint64_t> chosen_cas,
                     std::optional<Expiry> expiry) {
  // An item that was stored without an expiry has no field for one.
  if (expiry && expiry->is_set() && !item.can_expire()) return Room::kExpiry;
  if (!chosen_cas) {
    cache_.Renumber(item, lane_);
  } else if (!cache_.ChooseCas(item, *chosen_cas, lane_)) {
    return Room::kChosenCas;
  }
  if (expiry) {
    const bool has_room = item.SetExpiry(*expiry);
    LARDER_ASSERT(has_room);
  }
  return Room::kNone;
}

// The result of one look at the item of a number, and what is left to do after it.
struct Commands::NumberAttempt {
  ChangeOutcome outcome = {};
  // The item has no room for this, and nothing was changed.
  Room missing_room = Room::kNone;
  // False: the new number needs another chunk. It is `spec` with `text` that has to be stored then,
  // if the item is still as it was.
  bool fits_in_place = true;
  // The number of the write that the item had.
  std::uint64_t seen_number = 0;
  slab::ItemSpec spec;
  // The new number in decimals, and the count of its digits.
  std::array<char, protocol::kDecimalBytesMax> text = {};
  std::size_t digits = 0;
};

// Called with the item's bucket locked. Changes the number where it lies, if its digits fit there
// and no client reads the value without the lock.
void Commands::ChangeInPlace(Item& item, const NumberChange& change, NumberAttempt& attempt) {
  ChangeOutcome& outcome = attempt.outcome;
  // As memcached, before the CAS.
  if (item.value_bytes() == 0) {
    outcome.result = CommandResult::kNotNumeric;
    return;
  }
  if (change.cas_unique != 0 && change.cas_unique != item.cas()) {
    outcome.result = CommandResult::kExists;
    return;
  }
  // A number is never chained: it would be longer than any that counts as one.
  const auto old = item.is_chained()
                       ? std::nullopt
                       : protocol::ParseCounter(
                             {reinterpret_cast<const char*>(item.value()), item.value_bytes()});
  if (!old) {
    outcome.result = CommandResult::kNotNumeric;
    return;
  }
  cache_.MarkUse(item, lane_);
  cache_.NoteUse(attempt.spec.key.hash, item);
  outcome.number = change.is_incr ? *old + change.delta : *old - std::min(*old, change.delta);
  attempt.digits = static_cast<std::size_t>(
      protocol::WriteDecimal(attempt.text.data(), outcome.number) - attempt.text.data());
  outcome.expiry = item.expiry();
  LARDER_ASSERT(attempt.digits > 0 && attempt.digits <= attempt.text.size());
  if (attempt.digits > item.value_bytes() || !item.is_rewritable()) {
    attempt.fits_in_place = false;
    attempt.seen_number = item.number();
    attempt.spec.client_flags = item.client_flags();
    attempt.spec.expiry = change.expiry.value_or(item.expiry());
    attempt.spec.value_bytes = static_cast<std::uint32_t>(attempt.digits);
    attempt.spec.has_expiry_room = item.can_expire();
    return;
  }
  attempt.missing_room = Renew(item, change.chosen_cas, change.expiry);
  if (attempt.missing_room != Room::kNone) return;
  // A value never gets shorter: it is padded.
  std::memcpy(item.value(), attempt.text.data(), attempt.digits);
  std::memset(item.value() + attempt.digits, ' ', item.value_bytes() - attempt.digits);
  outcome.cas = item.cas();
  ReportChanged(change, cache_.ClassOf(item));
  outcome.result = CommandResult::kDone;
}

// Changes the number in place, or stores an item with the new number.
ChangeOutcome Commands::TryChange(const slab::HashedKey& key, const NumberChange& change) {
  // Another round is needed only if another client has changed the item meanwhile.
  for (;;) {
    NumberAttempt attempt{.spec = {.key = key}};
    const Presence presence =
        cache_.Visit(key, lane_, [&](Item& item) { ChangeInPlace(item, change, attempt); });
    if (attempt.missing_room != Room::kNone) {
      if (AddRoom(attempt.missing_room, key) == slab::RoomStatus::kNoMemory) break;
      continue;
    }
    if (presence != Presence::kHit || attempt.fits_in_place) return attempt.outcome;

    slab::RaceHook::Reach(slab::RacePoint::kStoreSeen);
    const slab::StoreOutcome stored = StoreUnreported({.spec = attempt.spec,
                                                       .terms = {.mode = StoreMode::kUnchanged,
                                                                 .cas_unique = attempt.seen_number,
                                                                 .keeps_expiry = !change.expiry},
                                                       .chosen_cas = change.chosen_cas},
                                                      {attempt.text.data(), attempt.digits});
    if (stored.status == StoreStatus::kNoMemory || stored.status == StoreStatus::kTooLarge) break;
    LARDER_ASSERT(stored.status == StoreStatus::kStored || stored.status == StoreStatus::kExists ||
                  stored.status == StoreStatus::kNotFound);
    if (stored.status != StoreStatus::kStored) continue;  // Changed in between: look again.
    ReportChanged(change, stored.class_id);
    attempt.outcome.result = CommandResult::kDone;
    attempt.outcome.cas = stored.cas;
    attempt.outcome.expiry = stored.expiry;
    return attempt.outcome;
  }
  return {.result = CommandResult::kNoMemory};
}

void Commands::ReportChanged(const NumberChange& change, slab::ClassId class_id) {
  observers_.Report({.operation = change.is_incr ? Operation::kIncr : Operation::kDecr,
                     .result = CommandResult::kDone,
                     .class_id = class_id});
}

void Commands::ReportUnchanged(const NumberChange& change, CommandResult result) {
  if (result == CommandResult::kDone) return;
  observers_.Report(
      {.operation = change.is_incr ? Operation::kIncr : Operation::kDecr, .result = result});
}

ChangeOutcome Commands::Create(StorePlan plan, std::uint64_t initial) {
  std::array<char, protocol::kDecimalBytesMax> text;
  const std::string_view digits(text.data(), protocol::WriteDecimal(text.data(), initial));
  // Stored as an add: if another client has created the item meanwhile, it is to be changed
  // instead.
  plan.spec.value_bytes = static_cast<std::uint32_t>(digits.size());
  plan.terms.mode = StoreMode::kAdd;
  const slab::StoreOutcome stored = StoreUnreported(plan, digits);
  LARDER_ASSERT(stored.status != StoreStatus::kExists && stored.status != StoreStatus::kNotFound);
  CommandResult result = ResultOf(stored.status);
  // A number is never too large; the limit of items is too small even for it.
  if (result == CommandResult::kTooLarge) result = CommandResult::kNoMemory;
  // Not counted: in memcached a number that is created is neither a hit nor a miss.
  if (result == CommandResult::kDone) {
    observers_.Report({.operation = Operation::kCreateNumber,
                       .value_bytes = plan.spec.value_bytes,
                       .class_id = stored.class_id,
                       .mode = StoreMode::kAdd,
                       .expiry = plan.spec.expiry});
  }
  return {.result = result, .number = initial, .cas = stored.cas, .is_new = true};
}

void Commands::FlushAt(Expiry due) {
  // The main thread executes a flush that is due later. It takes effect one second early, as in
  // memcached.
  if (due.is_set() && due.SecondsLeft(lane_) > 1) {
    shared_.flush_due.store(due.Sooner(), std::memory_order_relaxed);
    return;
  }
  // A flush that takes effect now replaces one that was pending.
  shared_.flush_due.store({}, std::memory_order_relaxed);
  shared_.flushed_s.store(lane_.now_s, std::memory_order_relaxed);
  cache_.FlushAll();
  shared_.watch.SourceOf(lane_).AddFlush();
}

DropResult Commands::Drop(std::string_view prefix) {
  counters_.Add(Stat::kCmdDrop);
  if (shared_.config.drop_admin && !is_client_local()) return DropResult::kNotAllowed;
  if (!cache_.Drop(prefix)) return DropResult::kTooMany;
  shared_.watch.SourceOf(lane_).AddDrop(prefix);
  return DropResult::kDone;
}

// Only a client on the server's machine may change the cluster, and only if the option allows it.
bool Commands::MayChangeCluster() const {
  return shared_.config.cluster_admin && is_client_local();
}

}  // namespace larder::server
