// Workload: requests to compare caches with.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "slab/result.h"
#include "tests/bench/policies/key_queue.h"

namespace larder::bench {

// A get, and a set if it misses.
struct CacheRequest {
  Key key = 0;
  // Of the item, with its head.
  std::uint32_t item_bytes = 0;
};

// WorkloadSpec says where requests come from and with how much memory they are tried.
struct WorkloadSpec {
  std::string_view name;
  // False: all values have one size.
  bool has_sizes = false;
  // Of the cache, in MiB; 0: not used.
  std::uint32_t memory_mib[4] = {};
  // Makes the requests; nullptr: they are read from the file of this name.
  std::vector<CacheRequest> (*make)() = nullptr;
};

// Values have so many bytes where there is one size.
inline constexpr std::uint32_t kValueBytes = 1000;

// The traces of real requests, and after them made ones of the same kinds.
std::span<const WorkloadSpec> AllWorkloads();

// Reads the requests from `folder`/<name>.txt or makes them. Fails with the reason if there is no
// such file, or if it cannot be read. REQUIRES: keys are less than 2^32 - 1.
Result<std::vector<CacheRequest>, std::string> LoadWorkload(const WorkloadSpec& spec,
                                                            const std::string& folder);

}  // namespace larder::bench
