#include "server/commands.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "protocol/numbers.h"
#include "slab/race_hook.h"

namespace larder::server {
namespace {

using protocol::Verb;
using slab::ClassStat;
using slab::Expiry;
using slab::Item;
using slab::Presence;
using slab::Room;
using slab::StoreMode;
using slab::StoreStatus;

// Misses by how the key had left.
Stat MissesAfter(slab::DepartureReason reason) {
  switch (reason) {
    case slab::DepartureReason::kEvicted:
    case slab::DepartureReason::kMoved:
      return Stat::kGetMissesEvicted;
    case slab::DepartureReason::kExpired:
      return Stat::kGetMissesExpired;
    case slab::DepartureReason::kDeleted:
      return Stat::kGetMissesDeleted;
    case slab::DepartureReason::kFlushed:
      return Stat::kGetMissesFlushed;
    case slab::DepartureReason::kTooLarge:
      return Stat::kGetMissesTooLarge;
    case slab::DepartureReason::kNoMemory:
      return Stat::kGetMissesNoMemory;
  }
  return Stat::kGetMissesNotSeen;
}

}  // namespace

Expiry Commands::ExpiresLater(std::uint32_t exptime) const {
  lane_.expiries.Add();
  return exptime <= kRelativeExptimeMax ? Expiry::At(lane_.now_s + exptime)
                                        : Expiry::AtUnixTime(exptime, lane_);
}

Expiry Commands::LongPast() const {
  lane_.expiries.Add();
  return Expiry::LongPast();
}

char* Commands::PinValue(Item& item, std::uint32_t value_bytes, char* out) {
  output_.Commit(out);
  output_.AppendPinned(cache_.Pin(item), cache_.Value(item), value_bytes);
  return out;
}

StoreMode Commands::ModeOf(Verb verb) {
  switch (verb) {
    case Verb::kAdd:
      return StoreMode::kAdd;
    case Verb::kReplace:
      return StoreMode::kReplace;
    case Verb::kAppend:
      return StoreMode::kAppend;
    case Verb::kPrepend:
      return StoreMode::kPrepend;
    case Verb::kCas:
      return StoreMode::kCas;
    default:
      return StoreMode::kSet;
  }
}

std::optional<StoreStatus> Commands::ReserveRoom(Upload& upload, UploadMemory::Share share) {
  const StorePlan& plan = upload.plan();
  auto reserved = cache_.Reserve(plan.spec, lane_, plan.chosen_cas);
  if (!reserved) return reserved.error();
  reserved->SetState(plan.state);
  upload.Reserve(std::move(*reserved), std::move(share), lane_.now_s);
  return std::nullopt;
}

slab::StoreOutcome Commands::StoreUpload(Upload& upload) {
  const StorePlan& plan = upload.plan();
  if (upload.is_reserved()) return cache_.Publish(upload.TakeItem(), plan.terms, lane_);
  // The sweep may have passed since the expiry was counted.
  if (plan.spec.expiry.is_set()) lane_.expiries.Add();
  return StorePlanned(plan, upload.staged());
}

slab::DeleteStatus Commands::Remove(const slab::HashedKey& key, std::uint64_t cas_unique) {
  slab::DeleteOutcome outcome;
  if (cas_unique != 0) {
    outcome = cache_.DeleteIfUnchanged(key, cas_unique, lane_);
  } else if (const auto class_id = cache_.Delete(key, lane_)) {
    outcome = {.status = slab::DeleteStatus::kDeleted, .class_id = *class_id};
  }
  if (is_detail_on()) [[unlikely]]
    shared_.prefixes.CountDelete(key.bytes);
  if (outcome.status == slab::DeleteStatus::kDeleted) {
    lane_.classes[outcome.class_id].Add(ClassStat::kDeleteHits);
  } else if (outcome.status == slab::DeleteStatus::kNotFound) {
    counters_.Add(Stat::kDeleteMisses);
  }
  return outcome.status;
}

slab::StoreOutcome Commands::StorePlanned(const StorePlan& plan, std::string_view value) {
  if (plan.is_plain()) {
    return cache_.Store(plan.terms.mode, plan.spec, value, plan.terms.cas_unique, lane_);
  }
  auto reserved = cache_.Reserve(plan.spec, lane_, plan.chosen_cas);
  if (!reserved) return {.status = reserved.error()};
  reserved->value().Write(value);
  reserved->SetState(plan.state);
  return cache_.Publish(std::move(*reserved), plan.terms, lane_);
}

Room Commands::Renew(Item& item, std::optional<std::uint64_t> chosen_cas,
                     std::optional<Expiry> expiry) {
  if (expiry && expiry->is_set() && !item.can_expire()) return Room::kExpiry;
  if (!chosen_cas) {
    cache_.Renumber(item, lane_);
  } else if (!cache_.ChooseCas(item, *chosen_cas, lane_)) {
    return Room::kChosenCas;
  }
  if (expiry) (void)item.SetExpiry(*expiry);  // It has the room.
  return Room::kNone;
}

ChangeOutcome Commands::Change(const slab::HashedKey& key, const NumberChange& change) {
  const ClassStat hits = change.is_incr ? ClassStat::kIncrHits : ClassStat::kDecrHits;
  std::array<char, protocol::kDecimalBytesMax> text;
  // Another round is needed only if another client has changed the item meanwhile.
  for (;;) {
    ChangeOutcome outcome;
    bool fits_in_place = true;
    Room missing_room = Room::kNone;
    std::size_t digits = 0;
    slab::ItemSpec spec{.key = key};
    std::uint64_t seen_number = 0;
    const Presence presence = cache_.Visit(key, lane_, [&](Item& item) {
      // As memcached, before the CAS.
      if (item.value_bytes() == 0) {
        outcome.status = ChangeStatus::kNotNumeric;
        return;
      }
      if (change.cas_unique != 0 && change.cas_unique != item.cas()) {
        outcome.status = ChangeStatus::kExists;
        return;
      }
      // A number is never chained: it would be longer than any that counts as one.
      const auto old = item.is_chained()
                           ? std::nullopt
                           : protocol::ParseCounter(
                                 {reinterpret_cast<const char*>(item.value()), item.value_bytes()});
      if (!old) {
        outcome.status = ChangeStatus::kNotNumeric;
        return;
      }
      cache_.MarkUse(item, lane_);
      outcome.number = change.is_incr ? *old + change.delta : *old - std::min(*old, change.delta);
      digits = static_cast<std::size_t>(protocol::WriteDecimal(text.data(), outcome.number) -
                                        text.data());
      outcome.expiry = item.expiry();
      if (digits <= item.value_bytes() && slab::Cache::MayRewrite(item)) {
        missing_room = Renew(item, change.chosen_cas, change.expiry);
        if (missing_room != Room::kNone) return;
        // A value never gets shorter: it is padded.
        std::memcpy(item.value(), text.data(), digits);
        std::memset(item.value() + digits, ' ', item.value_bytes() - digits);
        outcome.cas = item.cas();
        lane_.classes[cache_.ClassOf(item)].Add(hits);
        outcome.status = ChangeStatus::kChanged;
        return;
      }
      fits_in_place = false;
      seen_number = item.number();
      spec.client_flags = item.client_flags();
      spec.expiry = change.expiry.value_or(item.expiry());
      spec.value_bytes = static_cast<std::uint32_t>(digits);
      spec.has_expiry_room = item.can_expire();
    });
    if (missing_room != Room::kNone) {
      if (AddRoom(missing_room, key) == slab::RoomStatus::kNoMemory) break;
      continue;
    }
    if (presence != Presence::kHit || fits_in_place) return outcome;

    slab::RaceHook::Reach(slab::RacePoint::kStoreSeen);
    const slab::StoreOutcome stored = StorePlanned({.spec = spec,
                                                    .terms = {.mode = StoreMode::kUnchanged,
                                                              .cas_unique = seen_number,
                                                              .keeps_expiry = !change.expiry},
                                                    .chosen_cas = change.chosen_cas},
                                                   {text.data(), digits});
    if (stored.status == StoreStatus::kNoMemory || stored.status == StoreStatus::kTooLarge) break;
    if (stored.status != StoreStatus::kStored) continue;  // Changed in between: look again.
    lane_.classes[stored.class_id].Add(hits);
    outcome.status = ChangeStatus::kChanged;
    outcome.cas = stored.cas;
    outcome.expiry = stored.expiry;
    return outcome;
  }
  return {.status = ChangeStatus::kNoMemory};
}

void Commands::FlushAt(Expiry due) {
  // One tick early, as memcached.
  if (due.is_set() && due.SecondsLeft(lane_) > 1) {
    shared_.flush_due.store(due.Sooner(), std::memory_order_relaxed);
    return;
  }
  shared_.flush_due.store({}, std::memory_order_relaxed);
  shared_.flushed_s.store(lane_.now_s, std::memory_order_relaxed);
  cache_.FlushAll();
}

void Commands::CountMiss(std::string_view key, Presence presence, Stat misses) {
  counters_.Add(misses);
  if (misses == Stat::kGetMisses) {
    const auto departure = cache_.DepartureOf(cache_.Hash(key), lane_);
    counters_.Add(departure ? MissesAfter(departure->reason) : Stat::kGetMissesNotSeen);
  }
  if (presence == Presence::kExpired) counters_.Add(Stat::kGetExpired);
  if (presence == Presence::kFlushed) counters_.Add(Stat::kGetFlushed);
}

void Commands::CountDependentStore(StoreMode mode, const slab::StoreOutcome& outcome) {
  output_.AddWork(outcome.joined_bytes);
  if (mode != StoreMode::kCas) return;
  auto& by_class = lane_.classes[outcome.class_id];
  if (outcome.status == StoreStatus::kStored) by_class.Add(ClassStat::kCasHits);
  if (outcome.status == StoreStatus::kExists) by_class.Add(ClassStat::kCasBadval);
  if (outcome.status == StoreStatus::kNotFound) counters_.Add(Stat::kCasMisses);
}

std::shared_ptr<const ClusterSnapshot> Commands::ClusterUnder(std::string_view key) const {
  return key == kClusterKey ? shared_.cluster.Current() : nullptr;
}

bool Commands::MayChangeCluster() const {
  return shared_.config.cluster_admin && client_ != nullptr && client_->is_local;
}

}  // namespace larder::server
