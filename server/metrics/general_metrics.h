// The table of the rows of `stats` without arguments.
#pragma once

#include <span>

#include "server/metrics/metric.h"
#include "server/metrics/server_sample.h"

namespace larder::server {

// Returns memcached's rows in memcached's order, without those of TLS, proxy and external storage,
// followed by this server's own. A new row belongs at the end.
//
// Threads: any; the table is a constant.
std::span<const Metric<ServerSample>> GeneralMetrics();

}  // namespace larder::server
