// A running server, whole.
#pragma once

#include <event2/event.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "server/authenticator.h"
#include "server/background.h"
#include "server/clock.h"
#include "server/cluster.h"
#include "server/cluster_source.h"
#include "server/config.h"
#include "server/connection_table.h"
#include "server/counters.h"
#include "server/listener.h"
#include "server/prefix_stats.h"
#include "server/reporter.h"
#include "server/shared.h"
#include "server/stats.h"
#include "server/upload.h"
#include "server/worker.h"
#include "slab/cache.h"
#include "slab/expiry_sweep.h"
#include "slab/result.h"

namespace larder::server {

// Server owns everything between its sockets and its cache. The thread that calls Run accepts
// connections, hands them to the workers in turn, and keeps the clock.
//
// Threads: Run and HandleSignals: one thread; all that requests, and AdvanceClock: any thread.
// Owns:    cache, workers, listeners.
class Server {
 public:
  // Binds and listens: when this returns, clients can connect. Fails with what to print and the
  // exit code.
  static Result<std::unique_ptr<Server>, ConfigExit> Create(const Config& config);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // SIGTERM, SIGINT and SIGUSR1 stop the server in order, SIGHUP has files read again.
  void HandleSignals();

  // Serves until RequestStop or a signal; then finishes what is in flight, and saves what a memory
  // file keeps. Runs once.
  void Run();
  void RequestStop();
  // Has files read again, as SIGHUP does: within a turn of Run's loop.
  void RequestReload();

  // Tests: moves the clock on and returns when the server has noticed. REQUIRES: Run is running.
  void AdvanceClock(std::uint32_t seconds);

  const std::vector<ListenSocket>& listeners() const { return listeners_; }
  // The first TCP port; 0 without one.
  int port() const;

 private:
  struct Listening {
    Server* server;
    const ListenSocket* socket;
    ConnectionInfo info;
    std::unique_ptr<event, decltype(&event_free)> on_readable{nullptr, &event_free};
  };

  Server(const Config& config, std::unique_ptr<Authenticator> authenticator,
         std::unique_ptr<slab::Cache> cache, std::vector<ListenSocket> listeners);

  void Accept(const Listening& listening);
  void PauseAccepting();
  void ResumeAccepting();
  void Wake();
  void Tick();
  void TickNextSecond();
  void FlushIfDue();

  const Config config_;
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
  Shared shared_;
  Reporter reporter_;
  slab::Lane& lane_;  // Of the main thread.
  WorkerCounters& counters_;
  ClusterSource cluster_source_;
  Background background_;
  const EventBase base_;
  const int wake_fd_;
  std::unique_ptr<event, decltype(&event_free)> wake_event_;
  std::unique_ptr<event, decltype(&event_free)> second_event_;
  std::unique_ptr<event, decltype(&event_free)> resume_event_;
  std::vector<std::unique_ptr<event, decltype(&event_free)>> signal_events_;
  std::deque<Listening> listening_;
  std::deque<Worker> workers_;
  std::size_t next_worker_ = 0;
  std::chrono::steady_clock::time_point paused_at_;
  std::atomic<bool> is_stopping_{false};            // Written by anyone, read by Run.
  std::atomic<bool> wants_reload_{false};           // Written by anyone, taken by Run.
  std::atomic<std::uint32_t> wanted_advance_s_{0};  // Written by AdvanceClock.
  std::atomic<std::uint32_t> done_advance_s_{0};    // Written by Run.
};

}  // namespace larder::server
