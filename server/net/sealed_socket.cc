#include "server/net/sealed_socket.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "slab/check.h"

namespace larder::server {
namespace {

bool WouldBlock(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

SealedSocket& SocketOf(BIO* bio) { return *static_cast<SealedSocket*>(BIO_get_data(bio)); }

}  // namespace

BIO* SealedSocket::MakeBio() {
  BIO* const bio = BIO_new(&Method());
  if (bio == nullptr) return nullptr;
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  return bio;
}

const BIO_METHOD& SealedSocket::Method() {
  // Made once; the initialisation of a local static is safe with several threads.
  static BIO_METHOD* const kMethod = [] {
    BIO_METHOD* const method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "larder");
    LARDER_CHECK(method != nullptr);
    BIO_meth_set_read(method, &Read);
    BIO_meth_set_write(method, &Write);
    BIO_meth_set_ctrl(method, &Control);
    return method;
  }();
  return *kMethod;
}

int SealedSocket::Read(BIO* bio, char* out, int bytes) noexcept {
  std::string_view& sealed = SocketOf(bio).sealed_;
  BIO_clear_retry_flags(bio);
  if (sealed.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const std::size_t taken = std::min(sealed.size(), static_cast<std::size_t>(bytes));
  std::memcpy(out, sealed.data(), taken);
  sealed.remove_prefix(taken);
  return static_cast<int>(taken);
}

int SealedSocket::Write(BIO* bio, const char* data, int bytes) noexcept {
  BIO_clear_retry_flags(bio);
  ssize_t sent = 0;
  do {
    // MSG_NOSIGNAL: a client that is gone must lead to an error here and not to SIGPIPE.
    sent = send(SocketOf(bio).fd_, data, static_cast<std::size_t>(bytes), MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0 && WouldBlock(errno)) BIO_set_retry_write(bio);
  return static_cast<int>(sent);
}

long SealedSocket::Control(BIO*, int command, long, void*) noexcept {
  // Nothing is kept back. All else is refused.
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

bool SealedSocket::TakeKept() {
  LARDER_ASSERT(!has_input());
  sealed_ = kept_;
  return has_input();
}

TransferStatus SealedSocket::Receive(std::span<char> area) {
  LARDER_ASSERT(!has_input() && !holds_input() && !area.empty());
  const ssize_t received = recv(fd_, area.data(), area.size(), 0);
  if (received == 0) return TransferStatus::kEnded;
  if (received < 0) {
    const bool is_blocked = WouldBlock(errno) || errno == EINTR;
    return is_blocked ? TransferStatus::kBlocked : TransferStatus::kFailed;
  }
  sealed_ = {area.data(), static_cast<std::size_t>(received)};
  return TransferStatus::kDone;
}

void SealedSocket::Keep() {
  if (sealed_.empty() && kept_.empty()) [[likely]]
    return;
  // The rest may lie in kept_ itself.
  kept_ = std::string(std::exchange(sealed_, {}));
  kept_.shrink_to_fit();
}

}  // namespace larder::server
