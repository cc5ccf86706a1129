// Who a client is.
#pragma once

#include <utility>

#include "server/socket/socket_address.h"

namespace larder::server {

// What the server knows of a client from how it connects. It is found out once, when the client is
// accepted, and handed to what serves the client: commands ask it and no socket.
//
// Threads: a value.
struct ClientIdentity {
  SocketAddress address;
  bool is_local = false;  // The client is on the server's machine.

  static ClientIdentity Of(SocketAddress peer) {
    const bool is_local = peer.is_on_this_machine();
    return {.address = std::move(peer), .is_local = is_local};
  }
};

}  // namespace larder::server
