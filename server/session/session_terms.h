// The terms on which the clients of a listener are served.
#pragma once

#include <cstdint>

#include "server/config/config.h"

namespace larder::server {

// Whether a client has to authenticate before its requests are served.
enum class Authentication : std::uint8_t { kNotRequired, kRequired };

// What the listener that a client connected to prescribes for its session.
//
// Threads: a value.
struct SessionTerms {
  // The protocol. kNegotiate: the client's first byte decides.
  BindingProtocol protocol = BindingProtocol::kNegotiate;
  Authentication authentication = Authentication::kNotRequired;
};

}  // namespace larder::server
