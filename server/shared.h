// What all threads of a server share.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "server/clock.h"
#include "server/config/config.h"
#include "server/prefix_stats.h"
#include "slab/cache.h"
#include "slab/expiry_sweep.h"

namespace larder::server {

class Authenticator;
class Cluster;
class ConnectionTable;
class Reporter;
class Stats;
class UploadMemory;

// Threads: constants and references immutable; each atomic as its comment says.
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
  std::function<void()> request_stop;  // Any thread; returns at once.

  // Relaxed: settings that any client may change, read once per command.
  std::atomic<int> verbosity{0};
  std::atomic<bool> detail_enabled{false};

  // When a delayed flush_all is due. Written by workers, taken by the main thread at its tick.
  std::atomic<slab::Expiry> flush_due{slab::Expiry()};
  // When the last flush took effect, by the server's own clock, for `stats settings`.
  std::atomic<std::uint32_t> flushed_s{0};
  std::atomic<bool> accepting{true};  // Written by the main thread.
  // Accepted and not closed yet: the main thread adds, workers subtract.
  std::atomic<int> clients{0};
};

}  // namespace larder::server
