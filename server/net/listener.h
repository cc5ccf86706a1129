// Listening sockets: which ones the configuration asks for, and how they are opened.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "server/config/config.h"
#include "server/config/config_exit.h"
#include "server/config/listen_address.h"
#include "server/net/transport.h"
#include "server/session/session_terms.h"
#include "server/socket/socket_address.h"
#include "server/tls/contexts.h"
#include "slab/check.h"
#include "slab/result.h"

namespace larder::server {

// How the clients of a listener are served.
//
// Threads: a value.
struct ClientTerms {
  // How bytes travel between the client and the server.
  TransportKind transport = TransportKind::kPlain;
  // What clients have to show, if they speak TLS.
  ClientCertificates certificates = ClientCertificates::kAsConfigured;
  // The protocol, and whether clients have to authenticate.
  SessionTerms session;
};

// The terms that the configuration sets for its listeners.
ClientTerms TermsOf(const Config& config);

// A unix socket to listen on.
//
// Threads: a value.
struct UnixListenPath {
  // The path in the file system. A socket that an earlier server left there is replaced.
  std::string path;
  // The permission bits of the socket's file.
  unsigned permissions = 0700;
};

// Where to listen, and how the clients that connect there are served.
//
// Threads: a value.
struct Listener {
  std::variant<ListenAddress, UnixListenPath> address;
  ClientTerms terms;
};

// All listeners that the configuration asks for. A unix socket replaces all TCP listeners. The port
// of a TCP listener is 0 or negative if any free port may be used. The list is empty if TCP is
// switched off and no unix socket is configured.
std::vector<Listener> ListenersOf(const Config& config);

// ListenSocket is a socket that listens for clients, in non-blocking mode.
//
// Threads:    one worker (the main thread's loop).
// Owns:       the descriptor.
// Invariants: fd_ is -1 only after the object was moved from.
class ListenSocket {
 public:
  // Takes `fd` over, which the destructor closes. REQUIRES: `fd` is an open socket.
  ListenSocket(int fd, const ClientTerms& terms) : fd_(fd), terms_(terms) {
    LARDER_ASSERT(fd >= 0);
  }
  ListenSocket(ListenSocket&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), terms_(other.terms_) {}
  ListenSocket& operator=(ListenSocket&&) = delete;
  ~ListenSocket();

  // REQUIRES: the object was not moved from.
  int fd() const {
    LARDER_ASSERT(fd_ >= 0);
    return fd_;
  }
  const ClientTerms& terms() const { return terms_; }
  // The address that the socket is bound to. Each call asks the system.
  SocketAddress address() const { return SocketAddress::Local(fd_); }
  bool is_ipv6() const { return address().is_ipv6(); }
  // The port that the socket is bound to, also when any free port was asked for; 0 for a unix
  // socket.
  int port() const { return address().port(); }

 private:
  int fd_;
  const ClientTerms terms_;
};

// What the caller does after accept(2) has failed.
enum class AcceptError : std::uint8_t {
  // No client is waiting: wait for the next.
  kNoneWaits,
  // One client was gone before it was accepted: continue with the next.
  kOneIsLost,
  // The system is out of descriptors or memory: try again later, when others have given some back.
  kNoRoom,
  // The error is none that accept(2) is known to return for a single client: the listening socket
  // itself does not work.
  kBroken,
};
// The category of an errno value of accept(2).
AcceptError AcceptErrorOf(int error) noexcept;

// Opens the sockets of ListenersOf(config). A TCP listener gets one socket for each address that
// its host name resolves to. Fails with memcached's message and exit code if a listener cannot be
// opened; then all sockets are closed again.
Result<std::vector<ListenSocket>, ConfigExit> OpenListeners(const Config& config);

}  // namespace larder::server
