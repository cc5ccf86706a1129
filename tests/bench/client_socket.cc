#include "tests/bench/client_socket.h"

#include <sys/socket.h>

#include <cerrno>

namespace larder::bench {
namespace {

constexpr std::size_t kReceiveBytesMin = 64 << 10;

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

IoStatus ClientSocket::Flush() {
  if (requests_.empty()) return IoStatus::kOk;
  const std::string_view unsent = requests_.unread();
  const ssize_t sent = send(fd_.get(), unsent.data(), unsent.size(), MSG_NOSIGNAL);
  if (sent < 0) return WouldBlock() ? IoStatus::kOk : IoStatus::kClosed;
  requests_.Consume(static_cast<std::size_t>(sent));
  return IoStatus::kOk;
}

IoStatus ClientSocket::Fill() {
  char* room = replies_.Reserve(kReceiveBytesMin);
  const ssize_t received = recv(fd_.get(), room, replies_.room(), 0);
  if (received == 0) return IoStatus::kClosed;
  if (received < 0) return WouldBlock() ? IoStatus::kOk : IoStatus::kClosed;
  replies_.Commit(static_cast<std::size_t>(received));
  return IoStatus::kOk;
}

}  // namespace larder::bench
