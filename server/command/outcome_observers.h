// The observers of outcomes: the counters always, others while they are switched on.
#pragma once

#include <atomic>
#include <string_view>
#include <utility>

#include "server/command/command_events.h"
#include "server/command/outcome.h"
#include "server/metrics/counters.h"
#include "server/shared.h"
#include "server/socket/client_identity.h"
#include "slab/check.h"
#include "slab/item/hash.h"
#include "slab/lane.h"

namespace larder::server {

// OutcomeObservers receives the outcome of every command of one protocol and passes it to those
// that count, and to the events that clients watch. All differences between what memcached counts
// in one protocol and in another are decided here.
//
// Threads: one worker.
// Owns:    the last outcome. What it refers to must outlive it.
class OutcomeObservers {
 public:
  // `lane` and `counters` are those of the worker, where the outcomes are counted.
  OutcomeObservers(Protocol protocol, Shared& shared, slab::Lane& lane, WorkerCounters& counters)
      : protocol_(protocol),
        shared_(shared),
        lane_(lane),
        counters_(counters),
        events_(protocol, shared, lane) {}

  // Counts the outcome of a command and stores it for Show(). It is inlined because most fields of
  // an outcome are constants where it is called, and then a single counter is all that is left of
  // it.
  [[gnu::always_inline]] void Report(const Outcome& outcome) {
    if (is_shown_) [[unlikely]]
      last_ = outcome;
    Count(outcome);
  }
  // Counts the outcome, and shows it to no other observer. REQUIRES: is_shown() is false, or nobody
  // else is to see it.
  [[gnu::always_inline]] void Count(const Outcome& outcome) {
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

  // Prepares for the requests of a batch. Returns whether any observer besides the counters wants
  // to see their outcomes; if so, ShowBefore() and Show() are to be called before and after each
  // request. Asking once for a batch keeps the check out of each request.
  bool BeginShow(const ClientIdentity* client) {
    has_events_ = events_.IsWanted();
    is_shown_ = has_events_ || shared_.detail_enabled.load(std::memory_order_relaxed);
    if (is_shown_) [[unlikely]]
      Prepare(client);
    return is_shown_;
  }
  bool is_shown() const { return is_shown_; }
  // Shows the observers the key of a request that is about to be executed. REQUIRES: the last call
  // of BeginShow() returned true.
  void ShowBefore(const slab::HashedKey& key, IsWrite is_write) {
    if (has_events_) events_.Before(key, is_write);
  }
  // Shows the other observers the outcome that was seen since the last call, if there was one.
  // `key` is that of its command. REQUIRES: the last call of BeginShow() returned true.
  void Show(std::string_view key);

 private:
  // Counts in the slab class of the outcome's item.
  void CountInClass(const Outcome& outcome, slab::ClassStat stat) {
    LARDER_ASSERT(outcome.class_id < lane_.classes.size());
    lane_.classes[outcome.class_id].Add(stat);
  }
  // Each counts one kind of outcome. They are not inlined, because hits and sets would have to save
  // registers for them.
  [[gnu::noinline]] void CountMiss(const Outcome& outcome);
  [[gnu::noinline]] void CountRefusedStore(CommandResult result);
  [[gnu::noinline]] void CountCas(const Outcome& outcome);
  [[gnu::noinline]] void CountRarer(const Outcome& outcome);
  void CountGetAndTouch(const Outcome& outcome);
  void CountTouch(const Outcome& outcome);
  void CountDelete(const Outcome& outcome);
  void CountArithmetic(const Outcome& outcome);
  [[gnu::noinline, gnu::cold]] void Prepare(const ClientIdentity* client);
  void CountPrefix(std::string_view key, const Outcome& outcome);

  const Protocol protocol_;
  Shared& shared_;
  slab::Lane& lane_;
  WorkerCounters& counters_;
  CommandEvents events_;
  // Whether observers besides the counters want to see the outcomes of this batch; whether events_
  // is one of them.
  bool is_shown_ = false;
  bool has_events_ = false;
  // The outcome that was seen last; maintained only while is_shown_ is true.
  Outcome last_;
};

// ShownAlone shows the observers an outcome that belongs to no batch: what is seen during its
// lifetime, of a command with the given key. Uploads use it, because they end outside of a batch.
//
// Threads: one worker.
// Owns:    nothing. The key and the observers must outlive it.
class ShownAlone {
 public:
  // At most one outcome may be seen before the destructor shows it.
  ShownAlone(OutcomeObservers& observers, const ClientIdentity* client, const slab::HashedKey& key)
      : observers_(observers), key_(key.bytes), is_shown_(observers.BeginShow(client)) {
    if (is_shown_) [[unlikely]]
      observers_.ShowBefore(key, IsWrite::kYes);
  }
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
