// The rows of `stats settings`.
#pragma once

#include <span>

#include "server/config/setting.h"

namespace larder::server {

// Returns memcached's rows in memcached's order, without those of TLS and external storage,
// followed by this server's own rows in the order of their options.
//
// A switch shows what this server does. Numbers of features that it does not have are memcached's
// defaults, because exporters read them. An accepted -o option is shown as given.
//
// Threads: any; the rows are collected at the first call.
std::span<const Setting> SettingsMetrics();

}  // namespace larder::server
