#include "server/net/listener.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

namespace larder::server {
namespace {

constexpr int kExitSystem = 71;

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

void SetFlag(int fd, int level, int option) {
  const int on = 1;
  (void)setsockopt(fd, level, option, &on, sizeof on);
}

// The socket, or -1 with the reason in errno.
int BindAndListen(const addrinfo& address, int backlog) {
  const int fd = socket(address.ai_family, address.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
                        address.ai_protocol);
  if (fd < 0) return -1;
  SetFlag(fd, SOL_SOCKET, SO_REUSEADDR);
  SetFlag(fd, SOL_SOCKET, SO_KEEPALIVE);
  SetFlag(fd, IPPROTO_TCP, TCP_NODELAY);  // Accepted sockets inherit it.
  // 0.0.0.0 has a socket of its own.
  if (address.ai_family == AF_INET6) SetFlag(fd, IPPROTO_IPV6, IPV6_V6ONLY);
  if (bind(fd, address.ai_addr, address.ai_addrlen) == 0 && listen(fd, backlog) == 0) return fd;
  const int reason = errno;
  close(fd);
  errno = reason;
  return -1;
}

// Adds a socket for each address that the name stands for; it is enough that one can be bound. The
// reason otherwise.
std::string OpenTcp(const std::string& host, int port, int backlog,
                    std::vector<ListenSocket>& sockets) {
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failure = getaddrinfo(host.empty() ? nullptr : host.c_str(),
                                  std::to_string(std::max(port, 0)).c_str(), &hints, &found);
  if (failure != 0) return fmt::format("getaddrinfo(): {}", gai_strerror(failure));
  const AddressList addresses(found, &freeaddrinfo);
  std::string reason;
  std::size_t opened = 0;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    const int fd = BindAndListen(*address, backlog);
    if (fd >= 0) {
      sockets.emplace_back(fd, Connection::Kind::kTcp, address->ai_family);
      ++opened;
    } else {
      reason = std::strerror(errno);
      // Another server on the port of one family would answer half of the clients.
      if (errno == EADDRINUSE) return reason;
    }
  }
  return opened > 0 ? std::string() : reason;
}

std::string OpenUnix(const Config& config, std::vector<ListenSocket>& sockets) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (config.unix_socket.size() >= sizeof address.sun_path) return "path too long";
  std::memcpy(address.sun_path, config.unix_socket.c_str(), config.unix_socket.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::strerror(errno);
  ListenSocket opened(fd, Connection::Kind::kUnix, AF_UNIX);
  struct stat status {};
  if (lstat(address.sun_path, &status) == 0 && S_ISSOCK(status.st_mode)) {
    unlink(address.sun_path);  // Left behind by an earlier server.
  }
  const mode_t old_mask = umask(static_cast<mode_t>(~config.unix_mask & 0777));
  const bool is_open = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                       listen(fd, config.backlog) == 0;
  const int reason = errno;
  umask(old_mask);
  if (!is_open) return std::strerror(reason);
  sockets.push_back(std::move(opened));
  return {};
}

}  // namespace

ListenSocket::~ListenSocket() {
  if (fd_ >= 0) close(fd_);
}

int ListenSocket::port() const {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (getsockname(fd_, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return 0;
  if (storage.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in&>(storage).sin_port);
  }
  if (storage.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6&>(storage).sin6_port);
  }
  return 0;
}

AcceptError AcceptErrorOf(int error) noexcept {
  switch (error) {
    case EAGAIN:
      return AcceptError::kNoneWaits;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return AcceptError::kNoRoom;
    // accept(2): Linux passes on what is known of the new connection's network.
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT:
    case ECONNRESET:
    case EPERM:  // A firewall's rule.
      return AcceptError::kOneIsLost;
    default:
      return AcceptError::kBroken;
  }
}

Result<std::vector<ListenSocket>, ConfigExit> OpenListeners(const Config& config) {
  std::vector<ListenSocket> sockets;
  if (!config.unix_socket.empty()) {
    const std::string reason = OpenUnix(config, sockets);
    if (!reason.empty()) {
      return Failure{ConfigExit{
          fmt::format("failed to listen on UNIX socket: {}: {}\n", config.unix_socket, reason),
          kExitSystem}};
    }
    return sockets;
  }
  if (config.listen.empty()) {
    if (config.port == 0) return sockets;
    const std::string reason = OpenTcp("", config.port, config.backlog, sockets);
    if (!reason.empty()) {
      return Failure{ConfigExit{
          fmt::format("failed to listen on TCP port {}: {}\n", config.port, reason), kExitSystem}};
    }
    return sockets;
  }
  for (const ListenAddress& address : config.listen) {
    const int port = address.port >= 0 ? address.port : config.port;
    if (address.port < 0 && port == 0) continue;  // -p 0: no TCP.
    const std::string reason = OpenTcp(address.host, port, config.backlog, sockets);
    if (!reason.empty()) {
      return Failure{
          ConfigExit{fmt::format("failed to listen on one of interface(s) {} port {}: {}\n",
                                 config.listen_text, port, reason),
                     kExitSystem}};
    }
  }
  return sockets;
}

}  // namespace larder::server
