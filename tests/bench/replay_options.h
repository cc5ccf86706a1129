// The command line of larder_replay, checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "slab/result.h"
#include "tests/bench/options.h"
#include "tests/bench/replay_client.h"
#include "tests/bench/socket.h"
#include "tests/bench/trace_reader.h"

namespace larder::bench {

// Threads: immutable.
struct ReplayOptions {
  std::vector<Address> servers;  // One or two.
  std::string trace_path;        // Empty: standard input.
  TraceLimits limits;
  ReplayClient::Shape shape;
  std::size_t key_bytes = 20;
  std::uint64_t requests_max = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t seed = 1;
  bool json = false;
  bool progress = false;
};

Result<ReplayOptions, OptionsExit> ParseReplayOptions(int argc, const char* const* argv);

}  // namespace larder::bench
