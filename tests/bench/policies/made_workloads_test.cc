#include "tests/bench/policies/made_workloads.h"

#include <catch2/catch.hpp>
#include <unordered_map>

#include "tests/bench/policies/workload.h"

namespace larder::bench {
namespace {

TEST_CASE("a key of a made workload has one size", "[bench][policies]") {
  for (const WorkloadSpec& spec : AllWorkloads()) {
    if (spec.make == nullptr) continue;
    CAPTURE(spec.name);
    std::unordered_map<Key, std::uint32_t> sizes;
    bool is_one = true;
    for (const CacheRequest& request : spec.make()) {
      const auto [at, is_new] = sizes.emplace(request.key, request.item_bytes);
      is_one = is_one && at->second == request.item_bytes;
    }
    CHECK(is_one);
  }
}

TEST_CASE("sessions are asked for twice, and what is hit once is not", "[bench][policies]") {
  std::unordered_map<Key, int> uses;
  for (const CacheRequest& request : MakeSessions()) ++uses[request.key];
  int once = 0;
  int more = 0;
  for (const auto& [key, count] : uses) {
    if (key < 200'000) continue;
    once += count == 1 ? 1 : 0;
    more += count > 2 ? 1 : 0;
  }
  CHECK(more == 0);
  // Those of the end.
  CHECK(once < 2'000);
}

}  // namespace
}  // namespace larder::bench
