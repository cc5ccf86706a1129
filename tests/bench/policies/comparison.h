// Comparison: the miss ratios of all policies for one workload in one memory.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "slab/cache.h"
#include "tests/bench/policies/policy.h"
#include "tests/bench/policies/workload.h"

namespace larder::bench {

// A published policy.
struct PolicyKind {
  std::string_view name;
  // `keys`: about so many fit.
  std::unique_ptr<Policy> (*make)(std::uint64_t capacity, std::uint64_t keys);
};

// The first is Lru.
std::span<const PolicyKind> PolicyKinds();

// Miss ratios.
struct ComparisonRow {
  // What the others hold at most, items or bytes.
  std::uint64_t capacity = 0;
  std::vector<double> others;  // In the order of PolicyKinds().
  double larder = 0;
  // Only for values of one size: otherwise it cannot be computed.
  std::optional<double> optimum;
};

// Asks every policy for the same requests. With values of one size the others hold as many items as
// Larder does, otherwise items of as many bytes as its memory has.
ComparisonRow Compare(const WorkloadSpec& spec, std::span<const CacheRequest> requests,
                      std::uint32_t memory_mib);

// How Larder is set up for that.
slab::Cache::Options LarderOptions(const WorkloadSpec& spec, std::uint32_t memory_mib);
// The miss ratio of Larder alone.
double LarderMissRatio(std::span<const CacheRequest> requests, const slab::Cache::Options& options);

}  // namespace larder::bench
