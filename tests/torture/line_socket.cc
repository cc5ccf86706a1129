#include "tests/torture/line_socket.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace larder::torture {
namespace {

constexpr std::size_t kReceiveBytesMin = 64 << 10;

bench::UniqueFd ConnectOrThrow(const bench::Address& address) {
  auto fd = bench::Connect(address);
  if (!fd) throw Fault{"cannot connect: " + fd.error()};
  return std::move(*fd);
}

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

LineSocket::LineSocket(const bench::Address& address) : fd_(ConnectOrThrow(address)) {}

void LineSocket::Wait(short events) {
  pollfd poller{.fd = fd_.get(), .events = events, .revents = 0};
  const auto silence_ms = std::chrono::milliseconds(kSilenceMax).count();
  if (poll(&poller, 1, static_cast<int>(silence_ms)) == 0) throw Fault{"the server is silent"};
}

void LineSocket::Fill() {
  char* const room = received_.Reserve(kReceiveBytesMin);
  const ssize_t received = recv(fd_.get(), room, received_.room(), 0);
  if (received == 0) throw Fault{"the server closed the connection"};
  if (received < 0) {
    if (WouldBlock()) return;
    throw Fault{"the connection broke"};
  }
  received_.Commit(static_cast<std::size_t>(received));
}

void LineSocket::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      continue;
    }
    if (!WouldBlock()) throw Fault{"the connection broke"};
    Wait(POLLIN | POLLOUT);
    Fill();
  }
}

void LineSocket::ConsumeLast() {
  received_.Consume(last_bytes_);
  last_bytes_ = 0;
}

std::string_view LineSocket::ReadTo(std::string_view line_end) {
  ConsumeLast();
  std::size_t end = received_.unread().find(line_end);
  while (end == std::string_view::npos) {
    Wait(POLLIN);
    Fill();
    end = received_.unread().find(line_end);
  }
  last_bytes_ = end + line_end.size();
  return received_.unread().substr(0, end);
}

std::string_view LineSocket::ReadBlock(std::size_t bytes) {
  ConsumeLast();
  while (received_.unread().size() < bytes) {
    Wait(POLLIN);
    Fill();
  }
  last_bytes_ = bytes;
  return received_.unread().substr(0, bytes);
}

}  // namespace larder::torture
