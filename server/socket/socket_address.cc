#include "server/socket/socket_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "slab/check.h"

namespace larder::server {
namespace {

// The signature of getsockname(2) and getpeername(2).
using GetName = int (*)(int, sockaddr*, socklen_t*);

// The first byte of every IPv4 loopback address, 127.0.0.0/8.
constexpr std::uint32_t kLoopbackNet = 127;

// The address that `get_name` reports for `fd`; unknown if the call fails.
SocketAddress AddressOf(int fd, GetName get_name) {
  sockaddr_storage storage{};
  socklen_t bytes = sizeof storage;
  if (get_name(fd, reinterpret_cast<sockaddr*>(&storage), &bytes) != 0) return {};
  return {storage, bytes};
}

// Copies the address into its own type: access through a cast pointer would break the aliasing
// rules.
template <class Address>
Address ReadAs(const sockaddr_storage& storage) {
  Address address;
  static_assert(sizeof(Address) <= sizeof storage);
  std::memcpy(&address, &storage, sizeof address);
  return address;
}

// The path of a unix socket. The system reports a length, and the path within it may or may not end
// with a null byte. The length counts a null byte behind the longest path, for which the address
// has no room.
std::string PathOf(const sockaddr_un& address, socklen_t address_bytes) {
  const std::size_t path_bytes =
      std::min<std::size_t>(address_bytes, sizeof address) -
      std::min<std::size_t>(address_bytes, offsetof(sockaddr_un, sun_path));
  return {address.sun_path, strnlen(address.sun_path, path_bytes)};
}

// The text of an IP address without its port. `ip` is an in_addr or in6_addr, as `family` says.
std::string TextOf(int family, const void* ip) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  // The room fits the longest address, and the family is one of the two that it knows.
  const char* const written = inet_ntop(family, ip, text.data(), text.size());
  LARDER_ASSERT(written != nullptr);
  return text.data();
}

}  // namespace

SocketAddress::SocketAddress(const sockaddr_storage& storage, socklen_t storage_bytes) {
  LARDER_ASSERT(storage_bytes <= sizeof storage);
  if (storage.ss_family == AF_INET) {
    address_ = ReadAs<sockaddr_in>(storage);
  } else if (storage.ss_family == AF_INET6) {
    address_ = ReadAs<sockaddr_in6>(storage);
  } else if (storage.ss_family == AF_UNIX) {
    address_ = UnixPath{PathOf(ReadAs<sockaddr_un>(storage), storage_bytes)};
  }
}

SocketAddress SocketAddress::Local(int fd) { return AddressOf(fd, &getsockname); }
SocketAddress SocketAddress::Peer(int fd) { return AddressOf(fd, &getpeername); }

std::string SocketAddress::text() const {
  if (const auto* const ipv4 = std::get_if<sockaddr_in>(&address_)) {
    return fmt::format("tcp:{}:{}", TextOf(AF_INET, &ipv4->sin_addr), port());
  }
  if (const auto* const ipv6 = std::get_if<sockaddr_in6>(&address_)) {
    return fmt::format("tcp6:[{}]:{}", TextOf(AF_INET6, &ipv6->sin6_addr), port());
  }
  const auto* const unix_path = std::get_if<UnixPath>(&address_);
  return unix_path != nullptr ? "unix:" + unix_path->path : "?";
}

std::string SocketAddress::ip_text() const {
  if (const auto* const ipv4 = std::get_if<sockaddr_in>(&address_)) {
    return TextOf(AF_INET, &ipv4->sin_addr);
  }
  if (const auto* const ipv6 = std::get_if<sockaddr_in6>(&address_)) {
    return TextOf(AF_INET6, &ipv6->sin6_addr);
  }
  return is_unix() ? "unix" : "?";
}

int SocketAddress::port() const {
  if (const auto* const ipv4 = std::get_if<sockaddr_in>(&address_)) return ntohs(ipv4->sin_port);
  if (const auto* const ipv6 = std::get_if<sockaddr_in6>(&address_)) return ntohs(ipv6->sin6_port);
  return 0;
}

bool SocketAddress::is_on_this_machine() const {
  if (const auto* const ipv4 = std::get_if<sockaddr_in>(&address_)) {
    return ntohl(ipv4->sin_addr.s_addr) >> 24 == kLoopbackNet;
  }
  if (const auto* const ipv6 = std::get_if<sockaddr_in6>(&address_)) {
    // ::1, or ::ffff:127.x.y.z: a client of an IPv6 socket that connects by IPv4 has such an
    // address.
    return IN6_IS_ADDR_LOOPBACK(&ipv6->sin6_addr) ||
           (IN6_IS_ADDR_V4MAPPED(&ipv6->sin6_addr) && ipv6->sin6_addr.s6_addr[12] == kLoopbackNet);
  }
  return is_unix();
}

}  // namespace larder::server
