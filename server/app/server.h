// Server, a complete running server.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "server/authenticator.h"
#include "server/background.h"
#include "server/certificates.h"
#include "server/clock.h"
#include "server/cluster.h"
#include "server/cluster_source.h"
#include "server/config/config.h"
#include "server/config/config_exit.h"
#include "server/input/upload.h"
#include "server/metrics/counters.h"
#include "server/net/listener.h"
#include "server/net/worker.h"
#include "server/prefix_stats.h"
#include "server/reporter.h"
#include "server/shared.h"
#include "server/socket/connection_table.h"
#include "server/socket/event_loop.h"
#include "server/stats.h"
#include "server/watch/watch_hub.h"
#include "slab/cache.h"
#include "slab/expiry_sweep.h"
#include "slab/result.h"

namespace larder::server {

// Server owns everything between its sockets and its cache. The thread that calls Run(), the main
// thread, accepts connections, gives them to the workers in turn, and drives the clock.
//
// Threads:    Run and the destructor: one thread. RequestStop, RequestReload, AdvanceClock and
//             StepWallClock: any thread. All else: immutable after Create().
// Owns:       the cache, the listening sockets, all workers and the other threads, and all that
//             they share.
// Invariants: no other thread uses the cache after Run() has returned.
class Server {
 public:
  // Creates a server that is complete, bound and listening: when this returns, clients can connect,
  // although they are served only by Run().
  //
  // Fails with the text to print and the exit code; the code is 0 if a signal asked to stop
  // meanwhile. A memory file is left as it was in every case of failure.
  //
  // `certificates` are those of the configuration, if they were loaded before; else it loads them,
  // if TLS is on.
  static Result<std::unique_ptr<Server>, ConfigExit> Create(
      const Config& config, std::unique_ptr<Certificates> certificates = nullptr);
  // Stops all threads, if Run() has not done so.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Serves until RequestStop(), or until a signal asks for a stop where signals are caught (see
  // server/signals.h); a request from before the call counts too. Then finishes the requests in
  // flight, and saves the items to the memory file if there is one. Returns false if they could not
  // be saved; the log says why.
  //
  // REQUIRES: is called at most once.
  [[nodiscard]] bool Run();
  // Makes Run() return; returns at once itself.
  void RequestStop();
  // Makes the server read its files again, as SIGHUP does. Returns at once; the main thread handles
  // the request in the next turn of its loop.
  void RequestReload();

  // For tests: advances the clock by `seconds`, and returns when the server has handled the new
  // time. REQUIRES: another thread is in Run().
  void AdvanceClock(std::uint32_t seconds);
  // For tests: changes the system's time by `seconds` as the server sees it, while its own clock
  // goes on as before; returns when the server has handled it. REQUIRES: another thread is in
  // Run().
  void StepWallClock(std::int32_t seconds);

  // The listening sockets, in the order of the configuration.
  const std::vector<ListenSocket>& listeners() const { return listeners_; }
  // The port of the first listener; 0 if that is not a TCP socket, or if there is none.
  int port() const;

 private:
  // A listening socket in the event loop. Its address is the argument of its event, so it must not
  // move.
  struct Listening {
    // The two objects below outlive it.
    Server* server;
    const ListenSocket* socket;
    // Its entry in the table of connections.
    ConnectionInfo info;
    // Calls Accept().
    Event on_readable;
    // accept() failed: the socket is ignored until the next second.
    bool is_broken = false;
    // The failure has been logged.
    bool has_complained = false;
  };

  // Create() without the handling of exceptions and signals.
  static Result<std::unique_ptr<Server>, ConfigExit> CreateOrThrow(
      const Config& config, std::unique_ptr<Certificates> certificates);
  // Starts all threads. Throws std::system_error if the system refuses something.
  Server(const Config& config, std::unique_ptr<Certificates> certificates,
         std::unique_ptr<Authenticator> authenticator, std::unique_ptr<slab::Cache> cache,
         std::vector<ListenSocket> listeners);

  // Has the event loop call Accept() for this socket, and lists it for `stats conns`.
  void Listen(const ListenSocket& socket);
  // Begins to use the cache, and lets the background thread begin its work. Everything that changes
  // the cache is here, after the last check for a signal. Throws like the constructor.
  void Open();
  // Accepts the connections that are waiting at a listener, and gives each to a worker.
  void Accept(Listening& listening);
  // Ignores a listener whose accept() failed with `error`, until TryBrokenAgain().
  void IgnoreBroken(Listening& listening, int error);
  // Lets listeners that were ignored accept again.
  void TryBrokenAgain();
  // Stops accepting at all listeners, because the limit of connections is reached or the system is
  // out of resources, and checks periodically with ResumeAccepting().
  void PauseAccepting();
  // Accepts again, if the number of clients is below the limit.
  void ResumeAccepting();
  // Does all that is due once a second, and what other threads asked for by a wake-up.
  void Tick();
  // For tests: returns after a whole Tick() and a whole turn of the background thread.
  void AwaitTick();
  // Sets the timer for the next Tick().
  void TickNextSecond();
  // Handles the signals that have arrived.
  void OnSignal();
  // Executes a delayed flush_all whose time has come.
  void FlushIfDue();

  // --- Constants, and parts that any thread may use ---
  const Config config_;
  // Null without TLS.
  const std::unique_ptr<Certificates> certificates_;
  const std::unique_ptr<Authenticator> authenticator_;
  const std::unique_ptr<slab::Cache> cache_;
  const std::vector<ListenSocket> listeners_;
  Clock clock_;
  PrefixStats prefixes_;
  Cluster cluster_;
  ConnectionTable connections_;
  Stats stats_;
  slab::ExpirySweep sweep_;
  UploadMemory uploads_;
  WatchHub watch_;
  // References to all of the above and to reporter_, for the workers. Declared after the parts that
  // it refers to.
  Shared shared_;
  Reporter reporter_;
  // The lane of the main thread.
  slab::Lane& lane_;
  // The counters of the main thread.
  WorkerCounters& counters_;
  ClusterSource cluster_source_;
  Background background_;
  // --- The main thread's event loop ---
  const EventBase base_;
  // Wakes the loop from other threads.
  const WakeFd wake_;
  const Event wake_event_;
  // The timer of Tick(), and that of ResumeAccepting().
  const Event second_event_;
  const Event resume_event_;
  // Empty where signals are not caught.
  const Event signal_event_;
  // Deques, because their elements must not move.
  std::deque<Listening> listening_;
  std::deque<Worker> workers_;
  // Run() was called; for its contract.
  bool has_run_ = false;
  // The worker that gets the next connection.
  std::size_t next_worker_ = 0;
  // When PauseAccepting() was called.
  std::chrono::steady_clock::time_point paused_at_;
  // Written by any thread, read by Run().
  std::atomic<bool> is_stopping_{false};
  // Written by any thread, taken by Tick().
  std::atomic<bool> wants_reload_{false};
  // Written by AwaitTick() in any thread, read by Tick(): how many ticks were asked for.
  std::atomic<std::uint32_t> wanted_ticks_{0};
  // Written by Tick(), read by AwaitTick(): the greatest number of ticks asked for that one has
  // served.
  std::atomic<std::uint32_t> done_ticks_{0};
};

}  // namespace larder::server
