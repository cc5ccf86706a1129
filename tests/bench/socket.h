// Client sockets, to this machine only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "slab/result.h"

namespace larder::bench {

// Where the server listens: a loopback address and port, or the path of a unix socket.
struct Address {
  std::string host;  // Numeric.
  std::uint16_t port = 0;
  std::string unix_path;  // Not empty: host and port mean nothing.

  std::string Text() const;
};

// Refuses every host that is not this machine: a load generator must not be pointed at others by a
// slip of the finger. Accepts `localhost`, 127.x.y.z and ::1; asks no name server.
Result<Address, std::string> LoopbackAddress(std::string_view host, int port);

// The same for "host:port" and "[::1]:port".
Result<Address, std::string> ParseLoopbackAddress(std::string_view host_and_port);

// Owns a file descriptor and closes it.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~UniqueFd();

  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

// A connected, non-blocking socket without Nagle's delay, or why not.
Result<UniqueFd, std::string> Connect(const Address& address);

// Lets this process have `wanted` open files, or as many as its hard limit allows; true if that is
// enough.
bool RaiseFileLimit(std::uint64_t wanted);

}  // namespace larder::bench
