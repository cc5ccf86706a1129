// Connections that only exist.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "slab/result.h"
#include "tests/bench/socket.h"

namespace larder::bench {

// Opens `count` connections, each of which asks for the server's version once, as a client's pool
// would use it before leaving it alone. They last as long as the returned sockets.
Result<std::vector<UniqueFd>, std::string> OpenIdleConnections(const Address& address,
                                                               std::uint32_t count);

}  // namespace larder::bench
