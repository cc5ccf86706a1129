#include "server/net/socket_end.h"

#include <sys/socket.h>

#include <cstddef>

#include "slab/check.h"

namespace larder::server {
namespace {

// The most bytes that are read and thrown away: a client that sends without a pause must not hold
// up the worker.
constexpr std::size_t kDroppedBytesMax = std::size_t{1} << 20;

}  // namespace

void EndSocket(int fd, std::span<char> area) {
  LARDER_ASSERT(!area.empty());
  // The client reads the end of the stream after the last reply.
  shutdown(fd, SHUT_WR);
  for (std::size_t dropped = 0; dropped < kDroppedBytesMax;) {
    const ssize_t n = recv(fd, area.data(), area.size(), MSG_DONTWAIT);
    if (n <= 0) break;
    dropped += static_cast<std::size_t>(n);
  }
}

}  // namespace larder::server
