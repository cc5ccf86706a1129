// A worker thread and its connections.
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <thread>
#include <vector>

#include "server/metrics/counters.h"
#include "server/net/connection.h"
#include "server/session/wires.h"
#include "server/session/workspace.h"
#include "server/shared.h"
#include "server/socket/event_loop.h"
#include "slab/sync/mutex.h"

namespace larder::server {

// Worker serves its connections on a thread and an event base of its own. A turn of its loop has
// three phases, kept apart:
//
//   collect   libevent's callbacks only put connections on the ready list
//   process   each ready connection receives, parses and executes; replies gather in Output
//   flush     one send per connection; who has yielded sends after those that it yielded to
//
// Threads: one worker; Adopt, RequestStop, Stop and TurnHost::WakeStreams: any thread.
// Owns:    its connections.
class Worker final : private TurnHost, private ConnectionHost {
 public:
  // It and Start throw std::system_error when the system refuses what a loop needs.
  explicit Worker(Shared& shared);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void Start();
  // Takes over an accepted client.
  void Adopt(AcceptedClient client) LARDER_EXCLUDES(mutex_);
  // The thread serves what has come, sends what clients take within some seconds, closes everything
  // and ends. RequestStop returns at once, Stop when that is done.
  void RequestStop();
  void Stop();
  // Tests, instead of Start: one turn on the caller's thread, which waits for nothing.
  void RunOnce() { RunTurn(EVLOOP_ONCE | EVLOOP_NONBLOCK); }

  // Tests: what it works with.
  slab::Lane& lane() { return workspace_.lane; }
  WorkerCounters& counters() { return workspace_.counters; }

 private:
  // For connections and their sessions, on this worker's thread.
  void MakeReady(Connection& connection) override;
  void AwaitWake(Connection& connection) override { awaiting_.push_back(&connection); }
  void AwaitUploadMemory(Connection& connection) override;
  void WatchUploads() override;
  bool AreOthersReady() override;
  void WakeStreams() override { wake_.Wake(); }

  void Run();
  void RunTurn(int loop_flags);
  void FlushAll();
  // All but those that have yielded.
  void FlushServed();
  void OnWake();
  void TakeHandovers() LARDER_EXCLUDES(mutex_);
  // What falls due while connections are served is done at the end of the turn.
  void CloseDue();
  void CloseIdle();
  void CloseStalledUploads();
  // When stopping: what has come of these values has been received, and more is not waited for.
  void CloseUploads();
  // To those that wait, as far as it goes.
  void GiveUploadMemory();
  void Drain();
  void Destroy(Connection& connection);

  Shared& shared_;
  Workspace workspace_;
  Wires wires_;
  const EventBase base_;
  const WakeFd wake_;
  Event wake_event_;
  Event second_event_;                 // None without idle_timeout.
  Event upload_event_;                 // Pending while there are uploads.
  Event memory_event_;                 // And while some wait for memory.
  Connection* connections_ = nullptr;  // All of them, linked by Connection::next.
  std::vector<Connection*> ready_;     // To be served in the next turn.
  std::vector<Connection*> serving_;   // In this turn.
  // Served, with replies in the Output; from turn to turn those that have yielded and are ready
  // again.
  std::vector<Connection*> unflushed_;
  std::vector<Connection*> awaiting_;  // Their streams wait.
  std::deque<Connection*> uploading_;  // They wait for upload memory.
  bool has_given_memory_ = false;      // Since Drain has asked.
  std::size_t served_ = 0;             // Of serving_, those whose turn it is or was.
  bool is_idle_check_due_ = false;
  bool is_upload_check_due_ = false;
  std::thread thread_;
  std::atomic<bool> is_stopping_{false};  // Written by RequestStop, read by the thread.

  Mutex mutex_;
  std::vector<AcceptedClient> handovers_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::server
