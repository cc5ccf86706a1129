// A thread of the load generator.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <string>

#include "tests/bench/load_connection.h"
#include "tests/bench/request_source.h"
#include "tests/bench/tally.h"

namespace larder::bench {

// main steps through these; a worker only follows.
enum class Phase : std::uint8_t { kWarmUp, kMeasure, kStop };

// What main and the workers share while a run goes on. Threads: atomic.
struct RunControl {
  std::atomic<Phase> phase = Phase::kWarmUp;       // Written by main. Publishes these two:
  std::atomic<std::int64_t> measure_from_ns = 0;   // Written by main, before kMeasure.
  std::atomic<std::int64_t> stop_ns = 0;           // Written by main, before kStop.
  std::atomic<std::uint32_t> workers_running = 0;  // Each worker takes one off at its end.
};

enum class Pacing : std::uint8_t { kClosedLoop, kOpenLoop };

// How a run sends what its source gives.
struct RunPlan {
  Pacing pacing = Pacing::kClosedLoop;
  std::uint32_t depth = 1;  // Requests outstanding on a connection.
};

// LoadWorker drives its share of the connections from one epoll loop.
//
// Closed loop: a connection gets `depth` requests in one send, and the next ones when all are
// answered. Open loop: requests fall due on a fixed schedule, and go round-robin to connections
// with fewer than `depth` outstanding; a late server makes them late, and that counts as latency.
//
// Threads: one worker; main may read requests_answered() at any time, the rest after the thread's
// end.
class LoadWorker {
 public:
  LoadWorker(const Workbench& bench, std::uint32_t index);

  // Opens the connections. An empty text, or what went wrong.
  std::string Connect();

  // Sends what the source gives until it ends or the phase is kStop, then waits for the last
  // replies. Only what falls into kMeasure counts. May be called several times.
  void Run(RequestSource& source, const RunPlan& plan, RunControl& control);

  const Tally& tally() const { return tally_; }
  std::int64_t finished_ns() const { return finished_ns_; }  // When the last run ended.
  const std::string& failure() const { return failure_; }    // Empty if all went well.
  std::uint64_t requests_answered() const {
    return requests_answered_.load(std::memory_order_relaxed);
  }

 private:
  struct Slot {
    LoadConnection connection;
    bool is_watched_for_send = false;
  };

  void FollowPhase(RunControl& control);
  void SendDue();
  bool HasMore() const;
  std::int64_t WaitNs() const;
  void WaitAndReceive(std::int64_t wait_ns);
  void Receive(Slot& slot);
  void Refill(Slot& slot);
  void SendMissed(Slot& slot);
  bool QueueNext(Slot& slot, std::int64_t intended_ns);
  void Flush(Slot& slot);
  Slot* NextFreeSlot();
  bool IsAllAnswered() const;
  void Fail(std::string why);

  const Workbench& bench_;
  const std::uint32_t index_;
  const std::uint32_t connection_count_;
  const std::int64_t send_interval_ns_;  // Open loop only.

  UniqueFd epoll_;
  std::deque<Slot> slots_;     // Never moved: epoll holds pointers to them.
  std::size_t next_slot_ = 0;  // Where the open loop's round-robin stands.
  Tally tally_;
  std::string failure_;
  std::int64_t finished_ns_ = 0;

  // Of the current run.
  RequestSource* source_ = nullptr;
  RunPlan plan_;
  Phase phase_ = Phase::kWarmUp;
  bool is_source_empty_ = false;
  PlannedRequest planned_;          // Reused, for its vector.
  std::int64_t next_due_ns_ = 0;    // Open loop: when the next request should go out.
  std::int64_t due_end_ns_ = 0;     // Open loop: nothing falls due from here on.
  std::int64_t count_from_ns_ = 0;  // Requests intended for an earlier time do not count.
  std::int64_t now_ns_ = 0;         // Of this turn of the loop.
  std::int64_t last_progress_ns_ = 0;

  std::atomic<std::uint64_t> requests_answered_ = 0;  // In all runs. One writer: this worker.
};

}  // namespace larder::bench
