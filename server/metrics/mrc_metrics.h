// The rows of `stats mrc`.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "server/metrics/metric.h"
#include "slab/engine/miss_ratios.h"

namespace larder::server {

// One size of memory in an estimate.
struct MrcPoint {
  const slab::MissRatioEstimate& estimate;
  std::size_t size = 0;

  const slab::MissRatioEstimate::Point& point() const { return estimate.points[size]; }
};

// Returns the rows of the estimate as a whole, and those of one size: on a metrics page these have
// the label `percent` in addition, of slab::kSizePercents.
//
// Threads: any; the tables are constants.
std::span<const Metric<slab::MissRatioEstimate>> MrcMetrics();
std::span<const Metric<MrcPoint>> MrcPointMetrics();

// Returns one sentence: what twice and half of the present memory would do to the misses.
std::string MrcAdvice(const slab::MissRatioEstimate& estimate);

}  // namespace larder::server
