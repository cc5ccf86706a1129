#include "tests/bench/idle_connections.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace larder::bench {
namespace {

constexpr int kAnswerTimeoutMs = 10'000;

// Empty, or what went wrong. The reply is one short line, and comes in one piece.
std::string AskVersion(int fd) {
  constexpr std::string_view kRequest = "version\r\n";
  if (send(fd, kRequest.data(), kRequest.size(), MSG_NOSIGNAL) < 0) return std::strerror(errno);
  pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
  if (poll(&waiting, 1, kAnswerTimeoutMs) != 1) return "no answer within 10 seconds";
  std::array<char, 128> reply;
  const ssize_t received = recv(fd, reply.data(), reply.size(), 0);
  if (received <= 0) return "closed by the server";
  const std::string_view text(reply.data(), static_cast<std::size_t>(received));
  return text.starts_with("VERSION ") ? "" : fmt::format("answered '{}'", text);
}

}  // namespace

Result<std::vector<UniqueFd>, std::string> OpenIdleConnections(const Address& address,
                                                               std::uint32_t count) {
  std::vector<UniqueFd> connections;
  connections.reserve(count);
  while (connections.size() < count) {
    auto fd = Connect(address);
    if (!fd) return Failure{fd.error()};
    if (const std::string trouble = AskVersion(fd->get()); !trouble.empty()) {
      return Failure{fmt::format("idle connection {}: {}", connections.size() + 1, trouble)};
    }
    connections.push_back(std::move(*fd));
  }
  return connections;
}

}  // namespace larder::bench
