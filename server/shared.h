// Shared, what all threads of a server share.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "server/clock.h"
#include "server/config/config.h"
#include "server/prefix_stats.h"
#include "slab/item/expiry.h"

namespace larder::slab {
class Cache;
class ExpirySweep;
}  // namespace larder::slab

namespace larder::server {

class Authenticator;
class Certificates;
class Cluster;
class ConnectionTable;
class Reporter;
class Stats;
class UploadMemory;
class WatchHub;

// The parts of a server that workers and other threads use. All parts outlive those threads.
//
// Threads: constants and references: immutable; each atomic as its comment says.
struct Shared {
  const Config& config;
  slab::Cache& cache;
  Clock& clock;
  PrefixStats& prefixes;
  Authenticator& authenticator;
  Cluster& cluster;
  ConnectionTable& connections;
  Stats& stats;
  Reporter& reporter;
  slab::ExpirySweep& sweep;
  UploadMemory& uploads;
  WatchHub& watch;
  // Null without TLS.
  Certificates* const certificates = nullptr;
  // Asks the server to stop. Any thread may call it; returns at once.
  std::function<void()> request_stop;

  // Settings that any client may change. Relaxed: each command reads them once, and a change need
  // not be seen at once.
  std::atomic<int> verbosity{0};
  std::atomic<bool> detail_enabled{false};

  // When a delayed flush_all is due; not set: there is none. Written by workers, taken by the main
  // thread at its tick.
  std::atomic<slab::Expiry> flush_due{slab::Expiry()};
  // When the last flush_all took effect, in seconds of the server's own clock; 0: there was none.
  // Written by any thread that flushes; for `stats settings`.
  std::atomic<std::uint32_t> flushed_s{0};
  // False while connections are not accepted because of the limit. Written by the main thread.
  std::atomic<bool> accepting{true};
  // Client connections that are accepted and not closed yet: the main thread adds, workers
  // subtract. Relaxed: the limit may be checked with a number that is a moment old.
  std::atomic<int> clients{0};
};

}  // namespace larder::server
