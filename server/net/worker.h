// A worker thread and the connections that it serves.
#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <thread>
#include <vector>

#include "server/metrics/counters.h"
#include "server/net/connection.h"
#include "server/net/tls_workspace.h"
#include "server/session/wires.h"
#include "server/session/workspace.h"
#include "server/shared.h"
#include "server/socket/event_loop.h"
#include "slab/sync/mutex.h"

namespace larder::server {

// Worker serves its connections on a thread and with an event loop of its own. A turn of its loop
// has three phases, kept apart:
//
//   collect   libevent's callbacks only put connections on the ready list
//   process   each ready connection receives, parses and executes; replies gather in Output
//   flush     one send per connection; a connection that has yielded sends after the others
//
// A connection yields when its turn is over and it has requests left: then the other connections
// are served and answered first.
//
// Threads:    one worker; Adopt(), RequestStop(), Stop() and TurnHost::WakeStreams(): any thread.
// Owns:       its connections.
// Invariants: a connection is in ready_ exactly when its is_ready is true, and at most once.
class Worker final : private TurnHost, private ConnectionHost {
 public:
  // Adds a lane to the cache and a set of counters to the statistics. This constructor and Start()
  // throw std::system_error when the system refuses what an event loop or a thread needs. `shared`
  // must outlive the worker.
  explicit Worker(Shared& shared);
  // Stops the thread and closes all connections, including those that were adopted too late.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Starts the thread. REQUIRES: it is called at most once, and RunOnce() is not used.
  void Start();
  // Hands an accepted client to the worker, which takes it over in its next turn. REQUIRES: the
  // client is counted in Shared::clients; its connection subtracts it when it is closed.
  void Adopt(AcceptedClient client) LARDER_EXCLUDES(mutex_);
  // Has the thread end: it serves the requests that have arrived, sends the replies for at most
  // some seconds, and closes all connections. RequestStop() returns at once; Stop() returns when
  // the thread has ended.
  void RequestStop();
  void Stop();
  // Tests call it instead of Start(): runs one turn on the caller's thread, without waiting for
  // events.
  void RunOnce() { RunTurn(EVLOOP_ONCE | EVLOOP_NONBLOCK); }

  // Tests: the worker's lane of the cache and its counters.
  slab::Lane& lane() { return workspace_.lane; }
  WorkerCounters& counters() { return workspace_.counters; }

 private:
  // The interfaces for connections and their sessions. They are called on this worker's thread,
  // except WakeStreams().
  void MakeReady(Connection& connection) override;
  void AwaitWake(Connection& connection) override { awaiting_wake_.push_back(&connection); }
  void AwaitUploadMemory(Connection& connection) override;
  void WatchUploads() override;
  bool AreOthersReady() override;
  void WakeStreams() override { wake_.Wake(); }

  // A connection that was served, and its replies in the Output, which are not sent yet.
  struct Unflushed {
    Connection* connection;
    OutputSlice replies;
  };

  // The thread: turns until a stop is requested, then Drain().
  void Run();
  // One turn: the three phases, then the checks that are due. `loop_flags` are those of
  // event_base_loop().
  void RunTurn(int loop_flags);
  // Flushes every connection that was served, and clears the Output.
  void FlushAll();
  // Flushes those connections that have not yielded; the others stay in unflushed_.
  void FlushServed();
  // Called when the worker was woken by another thread: streams continue, and new clients are
  // taken.
  void OnWake();
  // Makes connections of the clients that were adopted.
  void TakeHandovers() LARDER_EXCLUDES(mutex_);
  // Makes the checks that became due during the turn. They destroy connections, which is safe only
  // at its end.
  void CloseDue();
  // Closes the connections that have been idle for longer than the configured timeout.
  void CloseIdle();
  // Closes the connections whose uploads have stalled.
  void CloseStalledUploads();
  // While stopping: closes the connections whose uploads hold memory of the cache. All bytes of
  // their values that had arrived were received, and the worker waits for no more.
  void CloseUploads();
  // Gives memory to the uploads that wait for it, in the order of UploadMemory::next(), as far as
  // there is any and the next upload is one of this worker's.
  void GiveUploadMemory();
  // While stopping: serves and sends until nothing is under way or the time is over.
  void Drain();
  // Removes the connection from all lists and destroys it. REQUIRES: serving_ is not used
  // afterwards for this connection.
  void Destroy(Connection& connection);

  Shared& shared_;
  // The buffers and executors that all connections of this worker use in turn.
  Workspace workspace_;
  Wires wires_;
  const EventBase base_;
  TlsWorkspace tls_;
  // By this other threads wake the event loop.
  const WakeFd wake_;
  Event wake_event_;
  // Fires each second, for CloseIdle(). Null if no idle timeout is configured.
  Event second_event_;
  // Pending while any connection has an upload, for CloseStalledUploads().
  Event upload_event_;
  // Pending while an upload waits for memory: another worker may give some back.
  Event memory_event_;
  // The first of all connections, which are linked by Connection::previous and next.
  Connection* connections_ = nullptr;
  // To be served in the next turn.
  std::vector<Connection*> ready_;
  // Served in this turn.
  std::vector<Connection*> serving_;
  // Those that have yielded and are ready again may stay here from one turn to the next.
  std::vector<Unflushed> unflushed_;
  // Their reply streams wait to be woken.
  std::vector<Connection*> awaiting_wake_;
  // Their uploads wait for memory.
  std::deque<Connection*> awaiting_memory_;
  // Whether an upload has got memory since Drain() looked last.
  bool has_given_memory_ = false;
  // The index in serving_ of the connection that is served next, behind the one whose turn it is.
  std::size_t next_to_serve_ = 0;
  // Set by the timers, and reset when CloseDue() has made the check.
  bool is_idle_check_due_ = false;
  bool is_upload_check_due_ = false;
  std::thread thread_;
  // Written by RequestStop() on any thread, read by the worker's thread.
  std::atomic<bool> is_stopping_{false};

  Mutex mutex_;
  // Clients that were adopted and have no connection yet.
  std::vector<AcceptedClient> handovers_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::server
