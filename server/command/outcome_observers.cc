// Which counters an outcome changes. Wherever the counting looks irregular, it is that of
// memcached, so that graphs and alerts made for memcached keep their meaning.
#include "server/command/outcome_observers.h"

#include "slab/check.h"

namespace larder::server {
namespace {

using slab::ClassStat;
using slab::Presence;

// The counter of misses for a reason.
Stat CounterOf(MissReason reason) {
  switch (reason) {
    case MissReason::kNotSeen:
      return Stat::kGetMissesNotSeen;
    case MissReason::kEvicted:
      return Stat::kGetMissesEvicted;
    case MissReason::kExpired:
      return Stat::kGetMissesExpired;
    case MissReason::kDeleted:
      return Stat::kGetMissesDeleted;
    case MissReason::kFlushed:
      return Stat::kGetMissesFlushed;
    case MissReason::kDropped:
      return Stat::kGetMissesDropped;
    case MissReason::kTooLarge:
      return Stat::kGetMissesTooLarge;
    case MissReason::kNoMemory:
      return Stat::kGetMissesNoMemory;
  }
  LARDER_ASSERT(false && "a reason without a counter");
  return Stat::kGetMissesNotSeen;
}

}  // namespace

// --- Counters ----------------------------------------------------------------------------------

void OutcomeObservers::CountMiss(const Outcome& outcome) {
  // The cluster's configuration was sent: that counts as a `config get` and not as a miss.
  if (outcome.result == CommandResult::kCluster) return counters_.Add(Stat::kCmdConfigGet);
  LARDER_ASSERT(outcome.result == CommandResult::kMiss);
  // In the meta protocol a retrieval that was to touch counts as a plain get when it misses.
  if (outcome.operation == Operation::kGet || protocol_ == Protocol::kMeta) {
    counters_.Add(Stat::kGetMisses);
    counters_.Add(CounterOf(outcome.reason));
  } else {
    counters_.Add(Stat::kTouchMisses);
  }
  // Two counters show why items that were still there were missed.
  if (outcome.presence == Presence::kExpired) counters_.Add(Stat::kGetExpired);
  if (outcome.presence == Presence::kFlushed) counters_.Add(Stat::kGetFlushed);
}

// memcached counts refused stores in its text protocols only.
void OutcomeObservers::CountRefusedStore(CommandResult result) {
  LARDER_ASSERT(NeedsRoom(result));
  if (protocol_ == Protocol::kBinary) return;
  counters_.Add(result == CommandResult::kTooLarge ? Stat::kStoreTooLarge : Stat::kStoreNoMemory);
}

// For `cas` and the other commands that compare a CAS.
void OutcomeObservers::CountCas(const Outcome& outcome) {
  if (outcome.result == CommandResult::kDone) CountInClass(outcome, ClassStat::kCasHits);
  if (outcome.result == CommandResult::kExists) CountInClass(outcome, ClassStat::kCasBadval);
  if (outcome.result == CommandResult::kMiss) counters_.Add(Stat::kCasMisses);
}

// The operations that Report() does not count itself. Without a default, so that the compiler
// reports an operation that is missing here.
void OutcomeObservers::CountRarer(const Outcome& outcome) {
  switch (outcome.operation) {
    case Operation::kOther:
    case Operation::kCreateNumber:
    case Operation::kDebug:
      return;
    case Operation::kGet:
    case Operation::kStore:
      LARDER_ASSERT(false && "counted by Report()");
      return;
    case Operation::kGetAndTouch:
      return CountGetAndTouch(outcome);
    case Operation::kTouch:
      return CountTouch(outcome);
    case Operation::kDelete:
    case Operation::kInvalidate:
    case Operation::kEmpty:
      return CountDelete(outcome);
    case Operation::kIncr:
    case Operation::kDecr:
      return CountArithmetic(outcome);
  }
}

// gat and gats, gat and gatk of the binary protocol, and mg with T.
void OutcomeObservers::CountGetAndTouch(const Outcome& outcome) {
  // A touch counts as a command also when it misses, but not in the meta protocol.
  const bool is_done = outcome.result == CommandResult::kDone;
  if (is_done || protocol_ != Protocol::kMeta) counters_.Add(Stat::kCmdTouch);
  if (is_done) return CountInClass(outcome, ClassStat::kTouchHits);
  // An item that is there and could not be touched counts neither as a hit nor as a miss.
  if (outcome.result != CommandResult::kNoMemory) CountMiss(outcome);
}

// touch, in both protocols that have it.
void OutcomeObservers::CountTouch(const Outcome& outcome) {
  counters_.Add(Stat::kCmdTouch);
  if (outcome.result == CommandResult::kDone) CountInClass(outcome, ClassStat::kTouchHits);
  if (outcome.result == CommandResult::kMiss) counters_.Add(Stat::kTouchMisses);
}

// Deletions and invalidations.
void OutcomeObservers::CountDelete(const Outcome& outcome) {
  // An item that was only invalidated was not deleted.
  if (outcome.result == CommandResult::kDone && outcome.operation == Operation::kDelete) {
    CountInClass(outcome, ClassStat::kDeleteHits);
  }
  // A meta delete of an item with another CAS counts as a miss.
  const bool is_other = outcome.result == CommandResult::kExists && protocol_ == Protocol::kMeta;
  if (outcome.result == CommandResult::kMiss || is_other) counters_.Add(Stat::kDeleteMisses);
}

// incr, decr and ma. Changes that are refused for other reasons than a miss are not counted.
void OutcomeObservers::CountArithmetic(const Outcome& outcome) {
  const bool is_incr = outcome.operation == Operation::kIncr;
  if (outcome.result == CommandResult::kDone) {
    return CountInClass(outcome, is_incr ? ClassStat::kIncrHits : ClassStat::kDecrHits);
  }
  // A key that may never be created counts as a miss, but not in the meta protocol.
  const bool is_kept_out =
      outcome.result == CommandResult::kForbidden && protocol_ == Protocol::kBinary;
  if (outcome.result == CommandResult::kMiss || is_kept_out) {
    counters_.Add(is_incr ? Stat::kIncrMisses : Stat::kDecrMisses);
  }
}

// --- Other observers ---------------------------------------------------------------------------

void OutcomeObservers::Prepare(const ClientIdentity* client) {
  last_ = {};
  if (has_events_) events_.Begin(client == nullptr ? -1 : client->number);
}

// The outcome is taken, so that a request without an outcome shows none.
void OutcomeObservers::Show(std::string_view key) {
  LARDER_ASSERT(is_shown_);
  const Outcome outcome = std::exchange(last_, {});
  if (has_events_) events_.After(key, outcome);
  if (shared_.detail_enabled.load(std::memory_order_relaxed)) CountPrefix(key, outcome);
}

// Counts by the prefix of the key, for `stats detail`.
void OutcomeObservers::CountPrefix(std::string_view key, const Outcome& outcome) {
  // memcached counts no meta command by prefix.
  if (protocol_ == Protocol::kMeta) return;
  const bool is_text = protocol_ == Protocol::kText;
  const auto found = outcome.result == CommandResult::kDone ? PrefixStats::Result::kHit
                                                            : PrefixStats::Result::kMiss;
  switch (outcome.operation) {
    case Operation::kGet:
      return shared_.prefixes.CountGet(key, found);
    case Operation::kGetAndTouch:
      // A text client got an error instead of a value.
      if (is_text && outcome.result == CommandResult::kNoMemory) return;
      return shared_.prefixes.CountGet(key, found);
    case Operation::kTouch:
      // memcached treats a touch in the binary protocol as a get without the value, and counts it
      // as one. A touch in the text protocol is not counted.
      if (!is_text) shared_.prefixes.CountGet(key, found);
      return;
    case Operation::kStore:
      return shared_.prefixes.CountSet(key);
    case Operation::kDelete:
      return shared_.prefixes.CountDelete(key);
    case Operation::kOther:
    case Operation::kInvalidate:
    case Operation::kEmpty:
    case Operation::kIncr:
    case Operation::kDecr:
    case Operation::kCreateNumber:
    case Operation::kDebug:
      return;
  }
}

}  // namespace larder::server
