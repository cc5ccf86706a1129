// Addresses of sockets as `stats conns` prints them.
#pragma once

#include <string>

namespace larder::server {

// `tcp:127.0.0.1:11211`, `tcp6:[::1]:11211`, `unix:<path>`; `?` when the kernel does not tell.
std::string LocalAddress(int fd);
std::string PeerAddress(int fd);

// The peer is on this machine: over a unix socket, or from a loopback address.
bool IsLocalPeer(int fd);

}  // namespace larder::server
