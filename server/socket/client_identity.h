// Who a client is, as far as the server knows.
#pragma once

#include <utility>

#include "server/socket/socket_address.h"

namespace larder::server {

// ClientIdentity stores what the server knows about a client from its connection. It is determined
// once, when the client is accepted, and passed to the code that serves the client: so commands can
// depend on it without access to a socket.
//
// Threads: a value.
struct ClientIdentity {
  // The address of the client's end of the connection.
  SocketAddress address;
  // The descriptor of the connection, which identifies the client in `stats conns`, in lines of the
  // log and in those of `watch`; -1: not known yet.
  int number = -1;
  // The client runs on the server's machine. Some administrative commands are allowed to such
  // clients only.
  bool is_local = false;

  // The identity of a client that connected from `peer`, with the descriptor `number`.
  static ClientIdentity Of(SocketAddress peer, int number = -1) {
    const bool is_local = peer.is_on_this_machine();
    return {.address = std::move(peer), .number = number, .is_local = is_local};
  }
};

}  // namespace larder::server
