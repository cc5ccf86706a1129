// The rows of `stats items`, `stats slabs` and `stats conns`.
#pragma once

#include <span>

#include "server/metrics/metric.h"
#include "server/metrics/server_sample.h"

namespace larder::server {

// `stats items`, of one class that holds items: memcached's rows in memcached's order, then
// Larder's own.
std::span<const Metric<ClassSample>> ItemsMetrics();
// `stats slabs`, of one class that has pages.
std::span<const Metric<ClassSample>> SlabsMetrics();
// What closes `stats slabs`.
std::span<const Metric<SlabTotals>> SlabTotalsMetrics();
// `stats conns`, of one descriptor.
std::span<const Metric<ConnectionSample>> ConnectionMetrics();

}  // namespace larder::server
