// Listening sockets.
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
#include "slab/result.h"

namespace larder::server {

// How the clients of a listener are served.
struct ClientTerms {
  TransportKind transport = TransportKind::kPlain;
  SessionTerms session;  // The protocol, and whether they have to authenticate.
};

// The terms of all listeners that today's options can ask for.
ClientTerms TermsOf(const Config& config);

struct UnixListenPath {
  std::string path;
  unsigned permissions = 0700;  // Of the socket in the file system.
};

// Where to listen, and how those who connect there are served.
struct Listener {
  std::variant<ListenAddress, UnixListenPath> address;
  ClientTerms terms;
};

// All listeners that the configuration asks for; a unix socket takes the place of TCP. A port of 0
// or less is any free port.
std::vector<Listener> ListenersOf(const Config& config);

// A socket that listens, in non-blocking mode.
//
// Threads: one worker (the main thread's loop).
// Owns:    the descriptor.
class ListenSocket {
 public:
  ListenSocket(int fd, const ClientTerms& terms) : fd_(fd), terms_(terms) {}
  ListenSocket(ListenSocket&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), terms_(other.terms_) {}
  ListenSocket& operator=(ListenSocket&&) = delete;
  ~ListenSocket();

  int fd() const { return fd_; }
  const ClientTerms& terms() const { return terms_; }
  SocketAddress address() const { return SocketAddress::Local(fd_); }
  bool is_ipv6() const { return address().is_ipv6(); }
  int port() const { return address().port(); }  // 0 for a unix socket.

 private:
  int fd_;
  const ClientTerms terms_;
};

// What to do when accept(2) fails.
enum class AcceptError : std::uint8_t {
  kNoneWaits,  // Wait for the next.
  kOneIsLost,  // The connection was gone: go on with the next.
  kNoRoom,     // The system is short of something: others will close, or free memory.
  kBroken,     // Of no known end: the socket itself is not as it should be.
};
AcceptError AcceptErrorOf(int error) noexcept;

// The sockets of ListenersOf(config); a listener has one for each address that its host name stands
// for. Fails with memcached's message and exit code when an address cannot be bound.
Result<std::vector<ListenSocket>, ConfigExit> OpenListeners(const Config& config);

}  // namespace larder::server
