// Listening sockets.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <vector>

#include "server/config.h"
#include "server/net/connection.h"
#include "slab/result.h"

namespace larder::server {

// A socket that listens, in non-blocking mode.
//
// Threads: one worker (the main thread's loop).
// Owns:    the descriptor.
class ListenSocket {
 public:
  ListenSocket(int fd, Connection::Kind kind, int family) : fd_(fd), kind_(kind), family_(family) {}
  ListenSocket(ListenSocket&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), kind_(other.kind_), family_(other.family_) {}
  ListenSocket& operator=(ListenSocket&&) = delete;
  ~ListenSocket();

  int fd() const { return fd_; }
  Connection::Kind kind() const { return kind_; }
  bool is_ipv6() const { return family_ == AF_INET6; }
  int port() const;  // 0 for a unix socket.

 private:
  int fd_;
  const Connection::Kind kind_;
  const int family_;
};

// What to do when accept(2) fails.
enum class AcceptError : std::uint8_t {
  kNoneWaits,  // Wait for the next.
  kOneIsLost,  // The connection was gone: go on with the next.
  kNoRoom,     // The system is short of something: others will close, or free memory.
  kBroken,     // Of no known end: the socket itself is not as it should be.
};
AcceptError AcceptErrorOf(int error) noexcept;

// All sockets that the configuration asks for; a unix socket takes the place of TCP. Fails with
// memcached's message and exit code when an address cannot be bound.
Result<std::vector<ListenSocket>, ConfigExit> OpenListeners(const Config& config);

}  // namespace larder::server
