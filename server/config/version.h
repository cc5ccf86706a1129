// The versions that the program reports.
#pragma once

#include <string_view>

namespace larder::server {

// The version of this build.
std::string_view Version();

// Returns the version that `version` and `stats` report to clients: the version of memcached whose
// behaviour the server has, followed by its own. Clients enable features by the leading numbers,
// and some refuse a major version of 0.
std::string_view WireVersion();

}  // namespace larder::server
