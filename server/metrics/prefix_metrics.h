// The rows of `stats prefixes`.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "server/metrics/metric.h"
#include "slab/lane.h"

namespace larder::server {

// What one prefix has, or all that have no row of their own.
//
// Threads: one worker; it is a copy taken for one report.
struct PrefixSample {
  slab::Counters<slab::PrefixStat>::Values values{};

  // A gauge is below 0 only while an item goes from one lane's count to another's.
  std::uint64_t of(slab::PrefixStat stat) const {
    const auto number = static_cast<std::int64_t>(values[static_cast<std::size_t>(stat)]);
    return static_cast<std::uint64_t>(std::max<std::int64_t>(number, 0));
  }
};

// The rows that come once for each prefix.
std::span<const Metric<PrefixSample>> PrefixMetrics();

}  // namespace larder::server
