// Samples of the server, from which the rows of `stats` are printed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/metrics/counters.h"
#include "slab/check.h"
#include "slab/classes/size_ladder.h"
#include "slab/engine/census.h"
#include "slab/engine/page_mover.h"
#include "slab/lane.h"

namespace larder::server {

// The sums of what all workers and lanes have counted, since the start or since a reset.
//
// Threads: one worker, like all samples in this file; each is taken for one report.
struct CounterSums {
  using ClassValues = slab::Counters<slab::ClassStat>::Values;
  using PrefixValues = slab::Counters<slab::PrefixStat>::Values;

  // The counters of the workers, by Stat.
  WorkerCounters::Values commands{};
  // The counters of the lanes, by ClassId and ClassStat; class 0 has the stores that reached no
  // class.
  std::vector<ClassValues> classes = {};
  // The counters of the lanes, by PrefixRow and PrefixStat; empty if they do not count prefixes.
  std::vector<PrefixValues> prefixes = {};
  // The number of items that were ever stored.
  std::uint64_t total_items = 0;
  // The number of passes that looked for expired items.
  std::uint64_t sweep_passes = 0;

  // One counter.
  std::uint64_t of(Stat stat) const { return commands[static_cast<std::size_t>(stat)]; }
  std::uint64_t of(slab::ClassId id, slab::ClassStat stat) const {
    LARDER_ASSERT(id < classes.size());
    return classes[id][static_cast<std::size_t>(stat)];
  }
  // The sum of a counter over all classes.
  std::uint64_t over_classes(slab::ClassStat stat) const;
  // Subtracts the counters of `earlier`, which leaves what was counted since then; gauges do not
  // change. REQUIRES: both have the same number of classes, and of
  // prefixes.
  void Subtract(const CounterSums& earlier);

 private:
  void SubtractPrefixes(const CounterSums& earlier);
};

// What `stats` without arguments prints. Fields whose name says what they are have no comment.
struct ServerSample {
  CounterSums sums = {};

  // --- The process ---
  std::int64_t pid = 0;
  // Seconds since the start, by the server's own clock.
  std::uint32_t uptime_s = 0;
  // Unix time in seconds, by the wall clock.
  std::uint64_t time_s = 0;
  // WireVersion().
  std::string_view version = {};
  std::string_view libevent_version = {};
  // CPU time of all threads.
  std::chrono::microseconds user_time{};
  std::chrono::microseconds system_time{};

  // --- The options that rows depend on ---
  // -c and -t.
  int connections_max = 0;
  int threads = 0;
  // Seconds; 0: idle connections are not closed.
  int idle_timeout_s = 0;
  // Connections above the limit are refused at once, instead of waiting.
  bool refuses_at_once = false;
  // Pages may move between classes.
  bool can_move_pages = false;
  // The eviction policy is kSegmented.
  bool is_segmented = false;
  // A background thread looks for expired items.
  bool sweeps = false;

  // --- TLS; the certificates are 0 or empty without it ---
  // -Z, -o ssl_session_cache and -o ssl_ca_cert.
  bool speaks_tls = false;
  bool keeps_sessions = false;
  bool has_signers = false;
  // Seconds since the certificates were loaded, and until the first of them expires: below 0 if
  // that is over.
  std::uint64_t certificate_age_s = 0;
  std::int64_t certificate_expires_in_s = 0;
  std::int64_t signer_expires_in_s = 0;
  std::uint64_t certificate_reload_errors = 0;
  std::string certificate_serial = {};

  // Open connections and listeners.
  std::uint64_t connections = 0;
  // The size of one worker's input buffer.
  std::uint64_t input_buffer_bytes = 0;
  // New connections are accepted now.
  bool is_accepting = false;
  // A pass that looks for expired items is under way.
  bool is_sweeping = false;
  // There is a list of nodes for clients to discover.
  bool has_node_list = false;
  // Clients that watch.
  std::uint64_t watchers = 0;
  // Cache::live_drops().
  std::uint32_t live_drops = 0;

  // --- The cache ---
  std::uint64_t memory_limit_bytes = 0;
  // The number of buckets of the index, at least one. The index grows by single buckets.
  std::uint64_t index_buckets = 1;
  std::uint64_t index_bytes = 0;
  // Pages that no class has.
  std::uint64_t free_pages = 0;
  // Pages that were moved to another class.
  std::uint64_t pages_moved = 0;
  slab::PageMoveStats page_moves = {};
  slab::AliveCount alive = {};
  // The sum over all classes; the ages in it are not set.
  slab::ClassStats evictions = {};
  // The sum over all classes.
  slab::QueueStats queues = {};

  // Adds the counters of one class to evictions and queues.
  void AddClass(const slab::ClassSnapshot& snapshot);
};

// What `stats items` and `stats slabs` print about one slab class.
struct ClassSample {
  // The state of the class.
  slab::ClassSnapshot snapshot = {};
  // The counters of the class, by ClassStat.
  CounterSums::ClassValues sums{};
  // The eviction policy is kSegmented.
  bool is_segmented = false;
};

// What `stats slabs` prints about all classes together.
struct SlabTotals {
  // The number of classes that have pages.
  std::uint64_t classes = 0;
  // The number of their pages.
  std::uint64_t pages = 0;
};

// What `stats conns` prints about one descriptor. The texts must outlive the sample.
struct ConnectionSample {
  // The address of the client; for a listener, its own.
  std::string_view address = {};
  // The address at which the client connected.
  std::string_view listen_address = {};
  // memcached's name for what the connection does.
  std::string_view state = {};
  // Seconds since the last command.
  std::uint32_t idle_s = 0;
  bool is_listener = false;
  // The version of TLS and the cipher; empty: the connection is not encrypted.
  std::string tls = {};
};

}  // namespace larder::server
