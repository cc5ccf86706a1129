// The rows of `stats`.
#pragma once

#include <span>

#include "server/metrics/metric.h"
#include "server/metrics/server_sample.h"

namespace larder::server {

// memcached's rows in memcached's order, without those of TLS, proxy and external storage, and
// behind them Larder's own. A new row belongs at the end.
std::span<const Metric<ServerSample>> GeneralMetrics();

}  // namespace larder::server
