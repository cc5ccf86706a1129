#include "tests/bench/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace larder::bench {
namespace {

// Large enough for all three families; `bytes` is how much of it counts.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t bytes = 0;
};

bool IsLoopback(const std::string& host) {
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

template <class Family>
SocketAddress Packed(const Family& family) {
  SocketAddress packed;
  std::memcpy(&packed.storage, &family, sizeof(family));
  packed.bytes = sizeof(family);
  return packed;
}

// REQUIRES: `address` comes from LoopbackAddress(), or its path fits a sockaddr_un.
SocketAddress ToSocketAddress(const Address& address) {
  if (!address.unix_path.empty()) {
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    address.unix_path.copy(un.sun_path, sizeof(un.sun_path) - 1);
    return Packed(un);
  }
  sockaddr_in v4{};
  if (inet_pton(AF_INET, address.host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    return Packed(v4);
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(address.port);
  v6.sin6_addr = in6addr_loopback;
  return Packed(v6);
}

Failure<std::string> SystemFailure(const Address& address) {
  return Failure{fmt::format("cannot connect to {}: {}", address.Text(), std::strerror(errno))};
}

}  // namespace

std::string Address::Text() const {
  if (!unix_path.empty()) return unix_path;
  const bool is_v6 = host.find(':') != std::string::npos;
  return is_v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

Result<Address, std::string> LoopbackAddress(std::string_view host, int port) {
  Address address{.host = std::string(host == "localhost" ? "127.0.0.1" : host), .unix_path = {}};
  if (!IsLoopback(address.host)) {
    return Failure{
        fmt::format("'{}' is refused: only this machine may be put under load "
                    "(localhost, 127.0.0.0/8 or ::1)",
                    host)};
  }
  if (port < 1 || port > 65535) return Failure{fmt::format("{} is no port", port)};
  address.port = static_cast<std::uint16_t>(port);
  return address;
}

Result<Address, std::string> ParseLoopbackAddress(std::string_view host_and_port) {
  const std::size_t colon = host_and_port.rfind(':');
  if (colon == std::string_view::npos) {
    return Failure{fmt::format("'{}' is not of the form host:port", host_and_port)};
  }
  std::string_view host = host_and_port.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const std::string_view digits = host_and_port.substr(colon + 1);
  int port = 0;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || stop != digits.data() + digits.size()) port = 0;
  return LoopbackAddress(host, port);
}

UniqueFd::~UniqueFd() {
  if (fd_ >= 0) close(fd_);
}

Result<UniqueFd, std::string> Connect(const Address& address) {
  if (address.unix_path.size() >= sizeof(sockaddr_un::sun_path)) {
    return Failure{fmt::format("'{}' is too long for a socket's path", address.unix_path)};
  }
  const SocketAddress target = ToSocketAddress(address);
  UniqueFd fd(socket(target.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return SystemFailure(address);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&target.storage), target.bytes) != 0) {
    return SystemFailure(address);
  }
  if (target.storage.ss_family != AF_UNIX) {
    const int on = 1;
    if (setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0) {
      return SystemFailure(address);
    }
  }
  if (fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) return SystemFailure(address);
  return fd;
}

bool RaiseFileLimit(std::uint64_t wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
  if (limit.rlim_cur < wanted) {
    limit.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
  }
  return limit.rlim_cur >= wanted;
}

}  // namespace larder::bench
