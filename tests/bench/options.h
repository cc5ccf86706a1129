// The command line of larder_load, checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "slab/result.h"
#include "tests/bench/socket.h"

namespace larder::bench {

// Threads: immutable once the run has started.
struct LoadOptions {
  Address address;
  std::uint32_t threads = 1;
  std::uint32_t connections = 32;
  std::uint32_t idle_connections = 0;  // Opened on top, used once, then left alone.

  bool tls = false;         // Inside TLS; idle connections stay plain.
  bool binary = false;      // The protocol; otherwise text.
  std::uint32_t depth = 1;  // Requests outstanding on a connection.
  std::uint32_t keys_per_get = 1;
  bool meta = false;  // Gets are `mg <key> v`, whose answers do not name the key.
  double set_ratio = 0.0;
  std::uint32_t keys = 100'000;
  std::size_t key_bytes = 20;
  std::size_t value_bytes_min = 100;
  std::size_t value_bytes_max = 100;
  double zipf_theta = 0.0;  // 0: uniform.
  std::uint64_t seed = 1;
  bool load = false;        // Set every key once before the run.
  bool set_missed = false;  // Cache-aside: a key that missed is set.
  bool verify = false;

  double warmup_s = 0.0;
  double seconds = 5.0;                     // Measured time, if `operations` is not given.
  std::optional<std::uint64_t> operations;  // Requests to send instead.
  std::optional<double> rate;               // Open loop: requests a second, over all threads.
  double timeout_s = 600.0;                 // Everything together may take this long.

  int server_pid = 0;  // Not 0: measure this process's CPU time.
  bool json = false;
  bool progress = false;
};

// Why there are no options: print `message` (on standard output if exit_code is 0) and leave.
struct OptionsExit {
  std::string message;
  int exit_code = 2;
};

Result<LoadOptions, OptionsExit> ParseLoadOptions(int argc, const char* const* argv);

}  // namespace larder::bench
