#include "tests/bench/client_socket.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace larder::bench {
namespace {

constexpr std::size_t kReceiveBytesMin = 64 << 10;

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

// What all connections use; made with the first.
SSL_CTX* Context() {
  static SSL_CTX* const kContext = [] {
    SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return context;
  }();
  return kContext;
}

}  // namespace

std::string ClientSocket::StartTls() {
  ssl_.reset(SSL_new(Context()));
  SSL_set_fd(ssl_.get(), fd_.get());
  // Blocks meanwhile: nothing is measured yet.
  const int flags = fcntl(fd_.get(), F_GETFL);
  fcntl(fd_.get(), F_SETFL, flags & ~O_NONBLOCK);
  const bool is_done = SSL_connect(ssl_.get()) == 1;
  fcntl(fd_.get(), F_SETFL, flags);
  if (is_done) return {};
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  return std::string("TLS: ") + text.data();
}

IoStatus ClientSocket::FlushTls() {
  const std::string_view unsent = requests_.unread();
  const int sent = SSL_write(ssl_.get(), unsent.data(), static_cast<int>(unsent.size()));
  if (sent > 0) requests_.Consume(static_cast<std::size_t>(sent));
  if (sent > 0 || SSL_get_error(ssl_.get(), sent) == SSL_ERROR_WANT_WRITE) return IoStatus::kOk;
  return IoStatus::kClosed;
}

// What is decrypted and not taken would not make the socket readable again, so all of it is taken.
IoStatus ClientSocket::FillTls() {
  do {
    char* const room = replies_.Reserve(kReceiveBytesMin);
    const int received = SSL_read(ssl_.get(), room, static_cast<int>(replies_.room()));
    if (received <= 0) {
      const bool waits = SSL_get_error(ssl_.get(), received) == SSL_ERROR_WANT_READ;
      return waits ? IoStatus::kOk : IoStatus::kClosed;
    }
    replies_.Commit(static_cast<std::size_t>(received));
  } while (SSL_pending(ssl_.get()) > 0);
  return IoStatus::kOk;
}

IoStatus ClientSocket::Flush() {
  if (requests_.empty()) return IoStatus::kOk;
  if (ssl_ != nullptr) return FlushTls();
  const std::string_view unsent = requests_.unread();
  const ssize_t sent = send(fd_.get(), unsent.data(), unsent.size(), MSG_NOSIGNAL);
  if (sent < 0) return WouldBlock() ? IoStatus::kOk : IoStatus::kClosed;
  requests_.Consume(static_cast<std::size_t>(sent));
  return IoStatus::kOk;
}

IoStatus ClientSocket::Fill() {
  if (ssl_ != nullptr) return FillTls();
  char* room = replies_.Reserve(kReceiveBytesMin);
  const ssize_t received = recv(fd_.get(), room, replies_.room(), 0);
  if (received == 0) return IoStatus::kClosed;
  if (received < 0) return WouldBlock() ? IoStatus::kOk : IoStatus::kClosed;
  replies_.Commit(static_cast<std::size_t>(received));
  return IoStatus::kOk;
}

}  // namespace larder::bench
