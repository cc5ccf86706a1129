// A reading of the server, from which the rows of `stats` are printed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "server/metrics/counters.h"
#include "slab/cache.h"
#include "slab/classes/size_ladder.h"
#include "slab/lane.h"

namespace larder::server {

// What all workers and lanes have counted, since the start or since a reset.
struct CounterSums {
  using ClassValues = slab::Counters<slab::ClassStat>::Values;

  WorkerCounters::Values commands{};
  std::vector<ClassValues> classes = {};  // By ClassId; [0]: stores that reached no class.
  std::uint64_t total_items = 0;
  std::uint64_t sweep_passes = 0;

  std::uint64_t of(Stat stat) const { return commands[static_cast<std::size_t>(stat)]; }
  std::uint64_t of(slab::ClassId id, slab::ClassStat stat) const {
    return classes[id][static_cast<std::size_t>(stat)];
  }
  std::uint64_t over_classes(slab::ClassStat stat) const;
  // Leaves what was counted since `earlier`; gauges stay. REQUIRES: both have all classes.
  void Subtract(const CounterSums& earlier);
};

// What `stats` without arguments prints.
struct ServerSample {
  CounterSums sums = {};

  // The process.
  std::int64_t pid = 0;
  std::uint32_t uptime_s = 0;
  std::uint64_t time_s = 0;  // Unix time.
  std::string_view version = {};
  std::string_view libevent_version = {};
  std::chrono::microseconds user_time{};
  std::chrono::microseconds system_time{};

  // The options that rows depend on.
  int connections_max = 0;
  int threads = 0;
  int idle_timeout_s = 0;        // 0: none.
  bool refuses_at_once = false;  // Connections above the limit.
  bool can_move_pages = false;
  bool is_segmented = false;  // The eviction policy.
  bool sweeps = false;

  std::uint64_t connections = 0;         // Listeners included.
  std::uint64_t input_buffer_bytes = 0;  // Of one worker.
  bool is_accepting = false;
  bool is_sweeping = false;
  bool has_node_list = false;

  // The cache.
  std::uint64_t memory_limit_bytes = 0;
  std::uint64_t index_buckets = 0;  // A power of two.
  std::uint64_t index_bytes = 0;
  std::uint64_t free_pages = 0;
  std::uint64_t pages_moved = 0;
  slab::PageMoveStats page_moves = {};
  slab::AliveCount alive = {};
  slab::ClassStats evictions = {};  // Over all classes; no ages.
  slab::QueueStats queues = {};     // Over all classes.

  void AddClass(const slab::ClassSnapshot& snapshot);
};

// What `stats items` and `stats slabs` print of one slab class.
struct ClassSample {
  slab::ClassSnapshot snapshot = {};
  CounterSums::ClassValues sums{};
  bool is_segmented = false;  // The eviction policy.
};

// What `stats slabs` prints of all classes together.
struct SlabTotals {
  std::uint64_t classes = 0;  // Of those that have pages.
  std::uint64_t pages = 0;
};

// What `stats conns` prints of one descriptor.
struct ConnectionSample {
  std::string_view address = {};         // Of the client; a listener's own.
  std::string_view listen_address = {};  // Where the client came in.
  std::string_view state = {};
  std::uint32_t idle_s = 0;  // Since the last command.
  bool is_listener = false;
};

}  // namespace larder::server
