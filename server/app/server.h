// A running server, whole.
#pragma once

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
#include "slab/cache.h"
#include "slab/expiry_sweep.h"
#include "slab/result.h"

namespace larder::server {

// Server owns everything between its sockets and its cache. The thread that calls Run accepts
// connections, hands them to the workers in turn, and keeps the clock.
//
// Threads: Run: one thread; all that requests, and AdvanceClock and StepWallClock: any thread.
// Owns:    cache, workers, listeners.
class Server {
 public:
  // Has all that it needs, binds and listens: when this returns, clients can connect. Fails with
  // what to print and the exit code, which is 0 when a signal asked to stop meanwhile. Whatever it
  // fails for, a memory file stays as it was.
  static Result<std::unique_ptr<Server>, ConfigExit> Create(const Config& config);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Serves until RequestStop or, where signals are caught (server/signals.h), one that asks for a
  // stop, be it from before; then finishes what is in flight, and saves what a memory file keeps.
  // Runs once.
  void Run();
  void RequestStop();
  // Has files read again, as SIGHUP does: within a turn of Run's loop.
  void RequestReload();

  // Tests: moves the clock on and returns when the server has noticed. REQUIRES: Run is running.
  void AdvanceClock(std::uint32_t seconds);
  // Tests: the same for a system whose time was set, and nothing went by.
  void StepWallClock(std::int32_t seconds);

  const std::vector<ListenSocket>& listeners() const { return listeners_; }
  // The first TCP port; 0 without one.
  int port() const;

 private:
  struct Listening {
    Server* server;
    const ListenSocket* socket;
    ConnectionInfo info;
    Event on_readable;
    bool is_broken = false;  // Left alone until the next second.
    bool has_complained = false;
  };

  static Result<std::unique_ptr<Server>, ConfigExit> CreateOrThrow(const Config& config);
  // Throws std::system_error when the system refuses what it needs.
  Server(const Config& config, std::unique_ptr<Authenticator> authenticator,
         std::unique_ptr<slab::Cache> cache, std::vector<ListenSocket> listeners);

  // What changes the cache, and has clients served. Throws as the constructor.
  void Open();
  void Accept(Listening& listening);
  void LeaveAlone(Listening& listening, int error);
  void TryBrokenAgain();
  void PauseAccepting();
  void ResumeAccepting();
  void Tick();
  // For tests: returns when there was another one, and a turn in the background.
  void AwaitTick();
  void TickNextSecond();
  void OnSignal();
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
  const WakeFd wake_;
  const Event wake_event_;
  const Event second_event_;
  const Event resume_event_;
  const Event signal_event_;  // None where signals are not caught.
  std::deque<Listening> listening_;
  std::deque<Worker> workers_;
  std::size_t next_worker_ = 0;
  std::chrono::steady_clock::time_point paused_at_;
  std::atomic<bool> is_stopping_{false};        // Written by anyone, read by Run.
  std::atomic<bool> wants_reload_{false};       // Written by anyone, taken by Run.
  std::atomic<std::uint32_t> wanted_ticks_{0};  // Written by AwaitTick.
  std::atomic<std::uint32_t> done_ticks_{0};    // Written by Run.
};

}  // namespace larder::server
