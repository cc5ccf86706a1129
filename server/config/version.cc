#include "server/config/version.h"

namespace larder::server {

// CMake defines both macros.
std::string_view Version() { return LARDER_VERSION; }

std::string_view WireVersion() { return LARDER_MEMCACHED_VERSION "-larder-" LARDER_VERSION; }

}  // namespace larder::server
