#include "tests/slab/trace_replay.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tests/mebibyte.h"
#include "tests/slab/zipf.h"

namespace larder::slab {
namespace {

constexpr double kErrorMax = 0.02;
// Where a loop nearly fits, the policy is on an edge; see slab/README.md.
constexpr double kLoopErrorMax = 0.05;
constexpr std::size_t kWhole = std::numeric_limits<std::size_t>::max();

// Replays the requests, and shows the estimate beside the truth.
void CheckEstimates(const std::string& name, const std::vector<TraceRequest>& requests,
                    std::uint64_t limit_bytes, std::uint64_t seed, double error_max = kErrorMax) {
  CAPTURE(name, limit_bytes, seed);
  TraceReplay replay(limit_bytes, seed);
  replay.Replay(requests);
  fmt::print("{}, -m {}, {} requests\n{}", name, limit_bytes / kMiB, requests.size(),
             replay.Table());
  CHECK(replay.WorstError() <= error_max);
  CHECK(replay.WorstRecentError() <= error_max);
  CHECK(replay.Estimate().references == requests.size());
  CHECK(replay.Estimate().dropped_rounds == 0);
}

void CheckTrace(const std::string& name, std::size_t requests_max, std::uint64_t megabytes) {
  const auto requests = LoadTrace(name, requests_max);
  if (!requests.empty()) CheckEstimates(name, requests, megabytes * kMiB, 0x5eed);
}

TEST_CASE("estimates of web12 are right", "[slab][mrc][traces]") { CheckTrace("web12", kWhole, 4); }

TEST_CASE("estimates of the beginning of orm-busy are right", "[slab][mrc][traces]") {
  CheckTrace("orm-busy", 250'000, 16);
}

TEST_CASE("estimates of adapt_size are right", "[slab][mrc][traces]") {
  CheckTrace("adapt_size", kWhole, 128);
}

// Takes a minute.
TEST_CASE("estimates of all traces are right with any seed", "[.][mrc-traces]") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    for (const std::uint64_t megabytes : {1U, 2U, 4U, 16U}) {
      CheckEstimates("web12", LoadTrace("web12", kWhole), megabytes * kMiB, seed << 40);
    }
    CheckEstimates("adapt_size", LoadTrace("adapt_size", kWhole), 128 * kMiB, seed << 40);
  }
  for (const std::uint64_t megabytes : {4U, 16U}) CheckTrace("orm-busy", kWhole, megabytes);
}

TEST_CASE("estimates of requests that favour some keys are right", "[slab][mrc]") {
  Zipf zipf(60'000, 0.9, 1);
  std::vector<TraceRequest> requests(300'000);
  for (TraceRequest& request : requests) request = {.key = zipf.Draw(), .value_bytes = 300};
  CheckEstimates("Zipf 0.9", requests, 4 * kMiB, 1);
}

TEST_CASE("estimates of loops, which fit or do not, are right", "[slab][mrc]") {
  // Of 22,000 keys, which need some 7.6 MB: half of the sizes hold them all.
  std::vector<TraceRequest> requests(200'000);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    requests[i] = {.key = i % 22'000, .value_bytes = 300};
  }
  CheckEstimates("a loop", requests, 8 * kMiB, 1, kLoopErrorMax);
}

}  // namespace
}  // namespace larder::slab
