#include "server/socket/socket_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace larder::server {
namespace {

using GetName = int (*)(int, sockaddr*, socklen_t*);

std::string AddressOf(int fd, GetName get_name) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (get_name(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return "?";
  std::array<char, INET6_ADDRSTRLEN> text{};
  switch (storage.ss_family) {
    case AF_INET: {
      sockaddr_in address;
      std::memcpy(&address, &storage, sizeof address);
      inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size());
      return fmt::format("tcp:{}:{}", text.data(), ntohs(address.sin_port));
    }
    case AF_INET6: {
      sockaddr_in6 address;
      std::memcpy(&address, &storage, sizeof address);
      inet_ntop(AF_INET6, &address.sin6_addr, text.data(), text.size());
      return fmt::format("tcp6:[{}]:{}", text.data(), ntohs(address.sin6_port));
    }
    case AF_UNIX: {
      sockaddr_un address;
      std::memcpy(&address, &storage, sizeof address);
      const std::size_t path_bytes =
          length - std::min<std::size_t>(length, offsetof(sockaddr_un, sun_path));
      const std::string_view path(address.sun_path, strnlen(address.sun_path, path_bytes));
      return fmt::format("unix:{}", path);
    }
    default:
      return "?";
  }
}

}  // namespace

std::string LocalAddress(int fd) { return AddressOf(fd, &getsockname); }
std::string PeerAddress(int fd) { return AddressOf(fd, &getpeername); }

bool IsLocalPeer(int fd) {
  constexpr std::uint32_t kLoopbackNet = 127;
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return false;
  switch (storage.ss_family) {
    case AF_UNIX:
      return true;
    case AF_INET: {
      sockaddr_in address;
      std::memcpy(&address, &storage, sizeof address);
      return ntohl(address.sin_addr.s_addr) >> 24 == kLoopbackNet;
    }
    case AF_INET6: {
      sockaddr_in6 address;
      std::memcpy(&address, &storage, sizeof address);
      return IN6_IS_ADDR_LOOPBACK(&address.sin6_addr) ||
             (IN6_IS_ADDR_V4MAPPED(&address.sin6_addr) &&
              address.sin6_addr.s6_addr[12] == kLoopbackNet);
    }
    default:
      return false;
  }
}

}  // namespace larder::server
