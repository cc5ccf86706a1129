// Which program this is.
#pragma once

#include <string_view>

namespace larder::server {

// The version of this build.
std::string_view Version();

// What `version` and `stats` tell clients: the version of memcached whose behaviour they get, and
// ours behind it. Clients choose features by the leading numbers, and some refuse a major version
// of 0.
std::string_view WireVersion();

}  // namespace larder::server
