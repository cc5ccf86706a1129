// On which terms a client is served.
#pragma once

#include <cstdint>

#include "server/config/config.h"

namespace larder::server {

enum class Authentication : std::uint8_t { kNotRequired, kRequired };

// Threads: a value.
struct SessionTerms {
  BindingProtocol protocol = BindingProtocol::kNegotiate;
  Authentication authentication = Authentication::kNotRequired;
};

}  // namespace larder::server
