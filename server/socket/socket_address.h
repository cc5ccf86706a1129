// The addresses of the two ends of a socket.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>
#include <variant>

namespace larder::server {

// SocketAddress is the address of one end of a socket: IPv4, IPv6, a unix socket, or unknown. A
// default-constructed address is unknown.
//
// Threads: a value.
class SocketAddress {
 public:
  SocketAddress() = default;
  // From the result of a system call that fills in an address, such as accept(2); `storage_bytes`
  // is the length that it returned. Unknown if the family is none of IPv4, IPv6 and unix.
  SocketAddress(const sockaddr_storage& storage, socklen_t storage_bytes);
  // The address of this machine's end, and of the other end, of the socket `fd`. Unknown if the
  // system does not report it.
  static SocketAddress Local(int fd);
  static SocketAddress Peer(int fd);

  // The form in which `stats conns` prints an address: `tcp:127.0.0.1:11211`, `tcp6:[::1]:11211` or
  // `unix:<path>`; `?` if it is unknown.
  std::string text() const;
  // The numeric address alone, without brackets; `unix` for a unix socket, `?` if it is unknown.
  std::string ip_text() const;
  // The port in host byte order; 0 for a unix socket or an unknown address.
  int port() const;
  bool is_ipv6() const { return std::holds_alternative<sockaddr_in6>(address_); }
  bool is_unix() const { return std::holds_alternative<UnixPath>(address_); }
  // Whether a peer with this address runs on this machine: it uses a unix socket or a loopback
  // address, including an IPv4 loopback address that is written as an IPv6 one.
  bool is_on_this_machine() const;

 private:
  // A wrapper that keeps the path distinct from other strings in the variant.
  struct UnixPath {
    // Empty for a socket that is not bound to a path, such as that of most clients.
    std::string path;
  };

  // std::monostate: the address is unknown.
  std::variant<std::monostate, sockaddr_in, sockaddr_in6, UnixPath> address_;
};

// The texts of the two ends of the socket `fd`, in the form of SocketAddress::text().
inline std::string LocalAddress(int fd) { return SocketAddress::Local(fd).text(); }
inline std::string PeerAddress(int fd) { return SocketAddress::Peer(fd).text(); }

}  // namespace larder::server
