#include "server/command/outcome_observers.h"

namespace larder::server {
namespace {

using slab::ClassStat;
using slab::Presence;

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
    case MissReason::kTooLarge:
      return Stat::kGetMissesTooLarge;
    case MissReason::kNoMemory:
      return Stat::kGetMissesNoMemory;
  }
  return Stat::kGetMissesNotSeen;
}

}  // namespace

// --- Counters ----------------------------------------------------------------------------------

void OutcomeObservers::CountMiss(const Outcome& outcome) {
  if (outcome.result == CommandResult::kCluster) return counters_.Add(Stat::kCmdConfigGet);
  // In the meta protocol a get that was to touch is a get if it misses.
  if (outcome.operation == Operation::kGet || protocol_ == Protocol::kMeta) {
    counters_.Add(Stat::kGetMisses);
    counters_.Add(CounterOf(outcome.reason));
  } else {
    counters_.Add(Stat::kTouchMisses);
  }
  if (outcome.presence == Presence::kExpired) counters_.Add(Stat::kGetExpired);
  if (outcome.presence == Presence::kFlushed) counters_.Add(Stat::kGetFlushed);
}

void OutcomeObservers::CountRefusedStore(CommandResult result) {
  if (protocol_ == Protocol::kBinary) return;
  counters_.Add(result == CommandResult::kTooLarge ? Stat::kStoreTooLarge : Stat::kStoreNoMemory);
}

void OutcomeObservers::CountCas(const Outcome& outcome) {
  if (outcome.result == CommandResult::kDone) CountInClass(outcome, ClassStat::kCasHits);
  if (outcome.result == CommandResult::kExists) CountInClass(outcome, ClassStat::kCasBadval);
  if (outcome.result == CommandResult::kMiss) counters_.Add(Stat::kCasMisses);
}

void OutcomeObservers::CountRarer(const Outcome& outcome) {
  switch (outcome.operation) {
    case Operation::kOther:
    case Operation::kGet:
    case Operation::kStore:
      return;  // See() counts them.
    case Operation::kGetAndTouch:
      return CountGetAndTouch(outcome);
    case Operation::kTouch:
      return CountTouch(outcome);
    case Operation::kDelete:
    case Operation::kInvalidate:
      return CountDelete(outcome);
    case Operation::kIncr:
    case Operation::kDecr:
      return CountArithmetic(outcome);
  }
}

void OutcomeObservers::CountGetAndTouch(const Outcome& outcome) {
  const bool is_done = outcome.result == CommandResult::kDone;
  if (is_done || protocol_ != Protocol::kMeta) counters_.Add(Stat::kCmdTouch);
  if (is_done) return CountInClass(outcome, ClassStat::kTouchHits);
  if (outcome.result != CommandResult::kNoMemory) CountMiss(outcome);
}

void OutcomeObservers::CountTouch(const Outcome& outcome) {
  counters_.Add(Stat::kCmdTouch);
  if (outcome.result == CommandResult::kDone) CountInClass(outcome, ClassStat::kTouchHits);
  if (outcome.result == CommandResult::kMiss) counters_.Add(Stat::kTouchMisses);
}

void OutcomeObservers::CountDelete(const Outcome& outcome) {
  if (outcome.result == CommandResult::kDone && outcome.operation == Operation::kDelete) {
    CountInClass(outcome, ClassStat::kDeleteHits);
  }
  const bool is_other = outcome.result == CommandResult::kExists && protocol_ == Protocol::kMeta;
  if (outcome.result == CommandResult::kMiss || is_other) counters_.Add(Stat::kDeleteMisses);
}

void OutcomeObservers::CountArithmetic(const Outcome& outcome) {
  const bool is_incr = outcome.operation == Operation::kIncr;
  if (outcome.result == CommandResult::kDone) {
    return CountInClass(outcome, is_incr ? ClassStat::kIncrHits : ClassStat::kDecrHits);
  }
  // One that may not be created is a miss, but not in the meta protocol.
  const bool is_kept_out =
      outcome.result == CommandResult::kForbidden && protocol_ == Protocol::kBinary;
  if (outcome.result == CommandResult::kMiss || is_kept_out) {
    counters_.Add(is_incr ? Stat::kIncrMisses : Stat::kDecrMisses);
  }
}

// --- Prefixes ----------------------------------------------------------------------------------

void OutcomeObservers::Show(std::string_view key) {
  const Outcome outcome = std::exchange(last_, {});
  if (protocol_ == Protocol::kMeta) return;  // memcached counts none of its commands by prefix.
  const bool is_text = protocol_ == Protocol::kText;
  const bool is_done = outcome.result == CommandResult::kDone;
  switch (outcome.operation) {
    case Operation::kGet:
      return shared_.prefixes.CountGet(key, is_done);
    case Operation::kGetAndTouch:
      if (is_text && outcome.result == CommandResult::kNoMemory) return;
      return shared_.prefixes.CountGet(key, is_done);
    case Operation::kTouch:
      // memcached's binary touch is a get without the value; that of text is not.
      if (!is_text) shared_.prefixes.CountGet(key, is_done);
      return;
    case Operation::kStore:
      return shared_.prefixes.CountSet(key);
    case Operation::kDelete:
      return shared_.prefixes.CountDelete(key);
    case Operation::kOther:
    case Operation::kInvalidate:
    case Operation::kIncr:
    case Operation::kDecr:
      return;
  }
}

}  // namespace larder::server
