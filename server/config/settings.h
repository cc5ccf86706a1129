// The rows of `stats settings`.
#pragma once

#include <span>

#include "server/config/setting.h"

namespace larder::server {

// memcached's rows in memcached's order, without those of TLS and external storage; behind them
// Larder's own, in the order of the options that they belong to.
//
// A switch tells what this server does. Numbers of what it does not do are memcached's defaults,
// for the exporters that read them. An accepted -o option shows as given.
//
// Threads: any.
std::span<const Setting> SettingsMetrics();

}  // namespace larder::server
