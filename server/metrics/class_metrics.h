// The tables of the rows of `stats items`, `stats slabs` and `stats conns`.
#pragma once

#include <span>

#include "server/metrics/metric.h"
#include "server/metrics/server_sample.h"

namespace larder::server {

// Returns the rows of `stats items` for one class that has items: memcached's rows in memcached's
// order, and then this server's own.
//
// Threads: any, as for the three functions below; the tables are constants.
std::span<const Metric<ClassSample>> ItemsMetrics();
// Returns the rows of `stats slabs` for one class that has pages.
std::span<const Metric<ClassSample>> SlabsMetrics();
// Returns the rows at the end of `stats slabs`, which are about all classes together.
std::span<const Metric<SlabTotals>> SlabTotalsMetrics();
// Returns the rows of `stats conns` for one descriptor, a client or a listener.
std::span<const Metric<ConnectionSample>> ConnectionMetrics();

}  // namespace larder::server
