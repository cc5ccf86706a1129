// The command line, checked.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "slab/result.h"

namespace larder::server {

// One `-l` item: where to listen.
struct ListenAddress {
  std::string host;  // Empty: every interface.
  int port = -1;     // -1: the port of -p.
};

enum class BindingProtocol : std::uint8_t { kNegotiate, kAscii, kBinary };

// Everything that the command line decides. A value-initialised Config is memcached's default.
//
// Threads: immutable once the server has started.
struct Config {
  // Sockets.
  int port = 11211;  // -p; 0: no TCP, -1: any free port.
  std::vector<ListenAddress> listen;  // -l; empty: every interface.
  std::string listen_text;            // -l as given, several joined by commas; for `stats settings`.
  std::string unix_socket;            // -s; empty: TCP.
  unsigned unix_mask = 0700;          // -a
  int backlog = 1024;                 // -b
  int connections_max = 1024;         // -c
  bool maxconns_fast = true;          // -o [no_]maxconns_fast
  int idle_timeout_s = 0;             // -o idle_timeout; 0: never.
  BindingProtocol protocol = BindingProtocol::kNegotiate;  // -B

  // Memory.
  std::uint64_t memory_bytes = std::uint64_t{64} << 20;  // -m
  bool evict = true;                       // -M clears it.
  std::uint32_t item_bytes_max = 1 << 20;  // -I
  double growth_factor = 1.10;             // -f
  bool growth_factor_given = false;
  std::uint32_t chunk_bytes_min = 16;      // -n: smallest room for key, value and flags.
  bool lock_memory = false;                // -k
  bool use_cas = true;                     // -C clears it.
  bool track_sizes = false;                // -o track_sizes

  // Work.
  int threads = 4;                 // -t
  int requests_per_turn_max = 20;  // -R
  bool requests_per_turn_given = false;
  char prefix_delimiter = ':';     // -D
  bool detail_enabled = false;     // -D switches it on.
  bool flush_enabled = true;       // -F clears it.
  bool dump_enabled = true;        // -X clears it.
  bool shutdown_command = false;   // -A

  // Process.
  bool daemonize = false;   // -d
  bool coredumps = false;   // -r
  std::string user;         // -u
  std::string pid_file;     // -P
  int verbosity = 0;        // -v, repeatable.

  // `-o` names that memcached knows and Larder accepts without needing them: name and value as
  // given ("" for a flag), shown in `stats settings`.
  std::vector<std::pair<std::string, std::string>> accepted_options;
};

// Why there is no Config: print `message` (to standard output if exit_code is 0, as after --help
// and --version, else to standard error) and leave with exit_code.
struct ConfigExit {
  std::string message;
  int exit_code = 0;
};

// Reads memcached's short and long options. Never throws, prints nothing.
Result<Config, ConfigExit> ParseConfig(int argc, const char* const* argv);

// The version of this build, as in `VERSION x.y.z`.
std::string_view Version();

}  // namespace larder::server
