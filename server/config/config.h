// What the command line decides.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/config/binding_protocol.h"
#include "server/config/listen_address.h"
#include "slab/cache.h"
#include "slab/eviction/eviction_queue.h"
#include "slab/result.h"

namespace larder::server {

// More workers than any machine has use for; a slip such as -t 11211 must not start them.
inline constexpr int kThreadsMax = 1024;

// Everything that the command line decides. A value-initialised Config is what no option gives:
// memcached's defaults, but for finer size classes (-f, -n) and longer turns (-R). The defaults are
// written here and nowhere else: the help text and `stats settings` show those of a Config.
//
// Threads: immutable once the server has started.
struct Config {
  // Sockets.
  int port = 11211;                   // -p; 0: no TCP, -1: any free port; at most 65535.
  std::vector<ListenAddress> listen;  // -l; empty: every interface.
  std::string listen_text;     // -l as given, several joined by commas; for `stats settings`.
  std::string unix_socket;     // -s; empty: TCP.
  unsigned unix_mask = 0700;   // -a, at most 0777.
  int backlog = 1024;          // -b, as listen(2) takes it.
  int connections_max = 1024;  // -c
  bool maxconns_fast = true;   // -o [no_]maxconns_fast
  int idle_timeout_s = 0;      // -o idle_timeout; 0: never.
  // -o upload_memory: what unfinished values may hold, in percent of the memory for items; 1 to 50.
  std::uint32_t upload_memory_percent = 3;
  int upload_timeout_s = 120;  // -o upload_timeout: a value of which nothing comes; 0: never.
  // -o upload_rate: while others wait for memory, a value comes by so many KiB a second or is given
  // up; 0: however slowly it comes.
  std::uint32_t upload_rate_kilobytes = 64;
  BindingProtocol protocol = BindingProtocol::kNegotiate;  // -B; else as authentication needs it.
  bool protocol_given = false;
  bool sasl = false;      // -S
  std::string auth_file;  // -Y, absolute; empty: the text protocol's clients need no password.

  // Memory.
  // -m; whole megabytes, a share of the memory at hand too.
  std::uint64_t memory_bytes = std::uint64_t{64} << 20;
  bool evict = true;                                                 // -M clears it.
  slab::EvictionPolicy eviction = slab::EvictionPolicy::kSegmented;  // -o eviction
  bool slab_reassign = true;                                         // -o [no_]slab_reassign
  slab::PageMoves page_moves = slab::PageMoves::kOn;                 // -o slab_automove
  std::uint32_t item_bytes_max = 1 << 20;  // -I; 1 KiB to 1 GiB, at most half of memory_bytes.
  double growth_factor = 1.10;             // -f; above 1.
  bool growth_factor_given = false;        // Then chunk sizes are plain steps of it.
  std::uint32_t chunk_bytes_min = 16;      // -n: smallest room for key, value and flags.
  bool lock_memory = false;                // -k
  bool prefault = false;                   // -L
  bool use_cas = true;                     // -C clears it.
  bool track_sizes = false;                // -o track_sizes
  bool sweeps = true;                      // -o [no_]lru_crawler
  std::uint32_t sweep_pause_us = 100;      // -o lru_crawler_sleep; see slab/expiry_sweep.h.
  std::uint32_t sweep_slice_max = 0;       // -o lru_crawler_tocrawl; 0: no bound.
  std::string memory_file;                 // -e; absolute. Empty: none.

  // Work.
  int threads = 4;  // -t; 1 to kThreadsMax.
  // -R. memcached's 20 would cut pipelines: what one receive brings is the better measure of a
  // turn.
  int requests_per_turn_max = 1024;
  char prefix_delimiter = ':';    // -D
  bool detail_enabled = false;    // -D switches it on.
  bool flush_enabled = true;      // -F clears it.
  bool dump_enabled = true;       // -X clears it.
  bool shutdown_command = false;  // -A

  // The cluster that clients discover; see server/cluster.h. A file or a name, not both.
  std::string cluster_file;                          // --cluster-file; absolute.
  std::string cluster_dns_host;                      // --cluster-dns
  std::uint16_t cluster_dns_port = 0;                // Of every node that the name stands for.
  std::uint32_t cluster_dns_interval_s = 10;         // --cluster-dns-interval; 1 or more.
  std::string cluster_state;                         // --cluster-state; absolute.
  bool cluster_admin = false;                        // --cluster-admin
  std::uint32_t cluster_nodes_max = 256;             // --cluster-nodes-max; 1 to 4096.
  std::uint32_t cluster_file_bytes_max = 64 * 1024;  // --cluster-file-max; up to 1 MiB.

  // Process.
  bool daemonize = false;  // -d
  bool coredumps = false;  // -r
  std::string user;        // -u
  std::string pid_file;    // -P
  int verbosity = 0;       // -v, repeatable.

  // `-o` names that memcached knows and Larder accepts without needing them: name and value as
  // given ("" for a flag), each name once, in the order last given; shown in `stats settings`.
  std::vector<std::pair<std::string, std::string>> accepted_options;
  // The rows of `stats settings` that these change, and what the rows show.
  std::map<std::string_view, std::string> accepted_settings;

  // Lines for standard error; the server starts all the same.
  std::vector<std::string> warnings;
};

}  // namespace larder::server
