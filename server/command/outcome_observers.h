// Who looks at the outcomes of commands: the counters always, others while they are switched on.
#pragma once

#include <atomic>
#include <string_view>
#include <utility>

#include "server/command/outcome.h"
#include "server/metrics/counters.h"
#include "server/shared.h"
#include "slab/lane.h"

namespace larder::server {

// OutcomeObservers is told the outcome of every command of one protocol. What memcached counts
// differently from protocol to protocol is decided here and nowhere else.
//
// Threads: one worker.
// Owns:    the last outcome; all that it refers to outlives it.
class OutcomeObservers {
 public:
  OutcomeObservers(Protocol protocol, Shared& shared, slab::Lane& lane, WorkerCounters& counters)
      : protocol_(protocol), shared_(shared), lane_(lane), counters_(counters) {}

  // Counts the outcome, and keeps it for Show(). Inlined: most of an outcome is constant where it
  // comes from, and then one counter is all that is left of this.
  [[gnu::always_inline]] void See(const Outcome& outcome) {
    if (is_shown_) [[unlikely]]
      last_ = outcome;
    switch (outcome.operation) {
      case Operation::kGet:
        if (outcome.result != CommandResult::kDone) return CountMiss(outcome);
        return CountInClass(outcome, slab::ClassStat::kGetHits);
      case Operation::kStore:
        if (NeedsRoom(outcome.result)) [[unlikely]]
          return CountRefusedStore(outcome.result);
        CountInClass(outcome, slab::ClassStat::kCmdSet);
        if (outcome.mode == slab::StoreMode::kCas) [[unlikely]]
          CountCas(outcome);
        return;
      default:
        return CountRarer(outcome);
    }
  }

  // Whether any observer but the counters wants to be shown the outcomes of the next requests: to
  // be asked once a batch.
  bool BeginShow() {
    last_ = {};
    is_shown_ = shared_.detail_enabled.load(std::memory_order_relaxed);
    return is_shown_;
  }
  // Shows these observers what was seen since the last call, if anything: the outcome of a command
  // with this key.
  void Show(std::string_view key);

 private:
  void CountInClass(const Outcome& outcome, slab::ClassStat stat) {
    lane_.classes[outcome.class_id].Add(stat);
  }
  // Apart: hits and sets would save registers for them.
  [[gnu::noinline]] void CountMiss(const Outcome& outcome);
  [[gnu::noinline]] void CountRefusedStore(CommandResult result);
  [[gnu::noinline]] void CountCas(const Outcome& outcome);
  [[gnu::noinline]] void CountRarer(const Outcome& outcome);
  void CountGetAndTouch(const Outcome& outcome);
  void CountTouch(const Outcome& outcome);
  void CountDelete(const Outcome& outcome);
  void CountArithmetic(const Outcome& outcome);

  const Protocol protocol_;
  Shared& shared_;
  slab::Lane& lane_;
  WorkerCounters& counters_;
  bool is_shown_ = false;  // Observers besides the counters want to be shown the outcomes.
  Outcome last_;           // While is_shown_.
};

// Shows the observers what is seen while it lives: an outcome, of a command with this key, that
// belongs to no batch.
//
// Threads: one worker.
class ShownAlone {
 public:
  ShownAlone(OutcomeObservers& observers, std::string_view key)
      : observers_(observers), key_(key), is_shown_(observers.BeginShow()) {}
  ShownAlone(const ShownAlone&) = delete;
  ShownAlone& operator=(const ShownAlone&) = delete;
  ~ShownAlone() {
    if (is_shown_) [[unlikely]]
      observers_.Show(key_);
  }

 private:
  OutcomeObservers& observers_;
  const std::string_view key_;
  const bool is_shown_;
};

}  // namespace larder::server
