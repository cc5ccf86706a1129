#include "server/net/listener.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "slab/check.h"

namespace larder::server {
namespace {

// The result list of getaddrinfo(3), freed by its owner.
using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

// Switches a socket option on. A failure is ignored: the server works without the option.
void SetFlag(int fd, int level, int option) {
  const int on = 1;
  (void)setsockopt(fd, level, option, &on, sizeof on);
}

// Opens a listening socket for `address`. Returns the descriptor, or -1 with the reason in errno.
int BindAndListen(const addrinfo& address, int backlog) {
  const int fd = socket(address.ai_family, address.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
                        address.ai_protocol);
  if (fd < 0) return -1;
  SetFlag(fd, SOL_SOCKET, SO_REUSEADDR);
  SetFlag(fd, SOL_SOCKET, SO_KEEPALIVE);
  // Accepted sockets inherit this option, so that it is not set for each client.
  SetFlag(fd, IPPROTO_TCP, TCP_NODELAY);
  // 0.0.0.0 gets a socket of its own, so the socket of [::] must not accept IPv4 clients as well.
  if (address.ai_family == AF_INET6) SetFlag(fd, IPPROTO_IPV6, IPV6_V6ONLY);
  if (bind(fd, address.ai_addr, address.ai_addrlen) == 0 && listen(fd, backlog) == 0) return fd;
  // close() may change errno.
  const int reason = errno;
  close(fd);
  errno = reason;
  return -1;
}

// Adds a listening socket for each address that the host name resolves to. It is enough that one
// address can be bound: a host may have no IPv6. Returns the reason of a failure, or an empty
// string.
std::string OpenTcp(const ListenAddress& place, const ClientTerms& terms, int backlog,
                    std::vector<ListenSocket>& sockets) {
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failure = getaddrinfo(place.host.empty() ? nullptr : place.host.c_str(),
                                  std::to_string(std::max(place.port, 0)).c_str(), &hints, &found);
  if (failure != 0) return fmt::format("getaddrinfo(): {}", gai_strerror(failure));
  const AddressList addresses(found, &freeaddrinfo);
  std::string reason;
  std::size_t opened = 0;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    const int fd = BindAndListen(*address, backlog);
    if (fd >= 0) {
      sockets.emplace_back(fd, terms);
      ++opened;
    } else {
      reason = std::strerror(errno);
      // A port that is in use is always an error, even if another address could be bound: otherwise
      // the server that has the port would answer half of the clients.
      if (errno == EADDRINUSE) return reason;
    }
  }
  // getaddrinfo() succeeds with one address at least.
  LARDER_ASSERT(opened > 0 || !reason.empty());
  return opened > 0 ? std::string() : reason;
}

// Adds a listening socket at a path. Returns the reason of a failure, or an empty string.
std::string OpenUnix(const UnixListenPath& place, const ClientTerms& terms, int backlog,
                     std::vector<ListenSocket>& sockets) {
  sockaddr_un address{};
  LARDER_ASSERT(place.permissions <= 0777);
  address.sun_family = AF_UNIX;
  if (place.path.size() >= sizeof address.sun_path) return "path too long";
  std::memcpy(address.sun_path, place.path.c_str(), place.path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return std::strerror(errno);
  ListenSocket opened(fd, terms);
  struct stat status {};
  // A socket at that path was left behind by an earlier server, for unix sockets are not removed
  // when they are closed. A file of another kind is not touched; then bind() fails.
  if (lstat(address.sun_path, &status) == 0 && S_ISSOCK(status.st_mode)) {
    unlink(address.sun_path);
  }
  // bind() creates the file with permissions that the umask restricts.
  const mode_t old_mask = umask(static_cast<mode_t>(~place.permissions & 0777));
  const bool is_open = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                       listen(fd, backlog) == 0;
  const int reason = errno;
  umask(old_mask);
  if (!is_open) return std::strerror(reason);
  sockets.push_back(std::move(opened));
  return {};
}

// Opens a listener of either kind. Returns the reason of a failure, or an empty string.
std::string Open(const Listener& listener, int backlog, std::vector<ListenSocket>& sockets) {
  if (const auto* const unix_path = std::get_if<UnixListenPath>(&listener.address)) {
    return OpenUnix(*unix_path, listener.terms, backlog, sockets);
  }
  return OpenTcp(std::get<ListenAddress>(listener.address), listener.terms, backlog, sockets);
}

// Returns the reason why a listener cannot have its prefix, or an empty string if it can.
std::string ReasonAgainstPrefix(const Config& config, const Listener& listener) {
  const auto* const address = std::get_if<ListenAddress>(&listener.address);
  if (config.tls || address == nullptr || address->tls == ListenTls::kAsConfigured) return {};
  return fmt::format("'{}' option is valid only when SSL is enabled", PrefixOf(address->tls));
}

// Returns the reason why a listener must not serve this protocol, or an empty string if it may. It
// must not if clients could reach the items without a password although passwords are configured.
std::string ReasonNotToServe(const Config& config, BindingProtocol protocol) {
  const bool has_file = !config.auth_file.empty();
  if (protocol == BindingProtocol::kBinary && has_file && !config.sasl) {
    return "Cannot use binary protocol when ascii authentication enabled";
  }
  if (protocol == BindingProtocol::kAscii && config.sasl && !has_file) {
    return "Cannot use ascii protocol when SASL authentication enabled";
  }
  return {};
}

// The message for an address that cannot be listened on, in memcached's words.
std::string Complaint(const Config& config, const Listener& listener, std::string_view reason) {
  LARDER_ASSERT(!reason.empty());
  if (const auto* const unix_path = std::get_if<UnixListenPath>(&listener.address)) {
    return fmt::format("failed to listen on UNIX socket: {}: {}\n", unix_path->path, reason);
  }
  const int port = std::get<ListenAddress>(listener.address).port;
  if (config.listen.empty()) {
    return fmt::format("failed to listen on TCP port {}: {}\n", port, reason);
  }
  return fmt::format("failed to listen on one of interface(s) {} port {}: {}\n", config.listen_text,
                     port, reason);
}

}  // namespace

ListenSocket::~ListenSocket() {
  if (fd_ >= 0) close(fd_);
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
    // Linux reports errors that are already pending on the new connection as errors of accept(2).
    // They concern this one client; see the section "Error handling" of accept(2).
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
    // A rule of the firewall.
    case EPERM:
      return AcceptError::kOneIsLost;
    default:
      return AcceptError::kBroken;
  }
}

ClientTerms TermsOf(const Config& config) {
  const bool has_passwords = config.sasl || !config.auth_file.empty();
  return {.session = {.protocol = config.protocol,
                      .authentication = has_passwords ? Authentication::kRequired
                                                      : Authentication::kNotRequired}};
}

namespace {

// Sets what -Z and the prefix of its item say about a TCP listener.
void SetTls(const Config& config, ListenTls tls, ClientTerms& terms) {
  if (!config.tls || tls == ListenTls::kPlain) return;
  terms.transport = TransportKind::kTls;
  if (tls == ListenTls::kNoCertificates) terms.certificates = ClientCertificates::kNotAsked;
  if (tls == ListenTls::kCertificates) terms.certificates = ClientCertificates::kRequired;
}

}  // namespace

std::vector<Listener> ListenersOf(const Config& config) {
  const ClientTerms terms = TermsOf(config);
  if (!config.unix_socket.empty()) {
    const UnixListenPath path{.path = config.unix_socket, .permissions = config.unix_mask};
    return {{.address = path, .terms = terms}};
  }
  // Without -l the server listens on all addresses: a ListenAddress without a host stands for them.
  const std::vector<ListenAddress> everywhere(1);
  std::vector<Listener> listeners;
  for (ListenAddress address : config.listen.empty() ? everywhere : config.listen) {
    if (address.port < 0) {
      // -p 0 switches TCP off for listeners without a port of their own.
      if (config.port == 0) continue;
      address.port = config.port;
    }
    LARDER_ASSERT(address.port <= kPortMax);
    ClientTerms own = terms;
    SetTls(config, address.tls, own);
    // To negotiate is to serve what -B or the passwords allow.
    if (address.protocol && *address.protocol != BindingProtocol::kNegotiate) {
      own.session.protocol = *address.protocol;
    } else if (address.protocol && own.session.authentication == Authentication::kNotRequired) {
      own.session.protocol = BindingProtocol::kNegotiate;
    }
    listeners.push_back({.address = std::move(address), .terms = own});
  }
  return listeners;
}

Result<std::vector<ListenSocket>, ConfigExit> OpenListeners(const Config& config) {
  std::vector<ListenSocket> sockets;
  for (const Listener& listener : ListenersOf(config)) {
    std::string reason = ReasonAgainstPrefix(config, listener);
    if (!reason.empty()) {
      return ConfigExit::SystemError(reason + "\n" + Complaint(config, listener, reason));
    }
    reason = ReasonNotToServe(config, listener.terms.session.protocol);
    if (reason.empty()) reason = Open(listener, config.backlog, sockets);
    if (!reason.empty()) return ConfigExit::SystemError(Complaint(config, listener, reason));
  }
  return sockets;
}

}  // namespace larder::server
