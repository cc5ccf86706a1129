// Addresses of sockets.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>
#include <variant>

namespace larder::server {

// SocketAddress is the address of one end of a socket. A value-initialised one is unknown.
//
// Threads: a value.
class SocketAddress {
 public:
  SocketAddress() = default;
  // Of a call that fills in an address, such as accept(2). Unknown if it is of another family than
  // IPv4, IPv6 and unix.
  SocketAddress(const sockaddr_storage& storage, socklen_t storage_bytes);
  // Unknown if the system does not say.
  static SocketAddress Local(int fd);
  static SocketAddress Peer(int fd);

  // `tcp:127.0.0.1:11211`, `tcp6:[::1]:11211`, `unix:<path>`, as `stats conns` prints them; `?` if
  // it is unknown.
  std::string text() const;
  int port() const;  // 0 for a unix socket.
  bool is_ipv6() const { return std::holds_alternative<sockaddr_in6>(address_); }
  bool is_unix() const { return std::holds_alternative<UnixPath>(address_); }
  // A peer of this address is on this machine: over a unix socket, or from a loopback address.
  bool is_on_this_machine() const;

 private:
  struct UnixPath {
    std::string path;  // Empty for a socket without a name.
  };

  std::variant<std::monostate, sockaddr_in, sockaddr_in6, UnixPath> address_;
};

// The texts of the two ends of a socket.
inline std::string LocalAddress(int fd) { return SocketAddress::Local(fd).text(); }
inline std::string PeerAddress(int fd) { return SocketAddress::Peer(fd).text(); }

}  // namespace larder::server
