#include "server/net/plain_transport.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

#include "server/net/socket_end.h"
#include "slab/check.h"

namespace larder::server {
namespace {

// Whether the pieces are not too many for one system call and have one byte at least.
[[maybe_unused]] bool AreUsable(std::span<const iovec> pieces) {
  return pieces.size() <= IOV_MAX &&
         std::ranges::any_of(pieces, [](const iovec& piece) { return piece.iov_len > 0; });
}

// The result for an errno value of a system call that failed.
Transferred FailureOf(int error) {
  const bool is_blocked = error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
  return {.status = is_blocked ? TransferStatus::kBlocked : TransferStatus::kFailed};
}

}  // namespace

PlainTransport::PlainTransport(int fd, event_base& base, TransportUser& user)
    : fd_(fd), user_(user) {
  Register(&base, EV_READ);
}

PlainTransport::~PlainTransport() {
  event_del(&event_);
  close(fd_);
}

void PlainTransport::OnEvent(int, short, void* self) noexcept {
  auto& transport = *static_cast<PlainTransport*>(self);
  LARDER_ASSERT(transport.awaited_ != Await::kNothing);
  transport.user_.OnTransportReady();
}

void PlainTransport::Register(event_base* base, short what) {
  LARDER_ASSERT(what == EV_READ || what == EV_WRITE);
  LARDER_ASSERT(!event_initialized(&event_) ||
                event_pending(&event_, EV_READ | EV_WRITE, nullptr) == 0);
  event_assign(&event_, base, fd_, static_cast<short>(what | EV_PERSIST), &OnEvent, this);
  event_add(&event_, nullptr);
}

void PlainTransport::SetAwaited(Await what) {
  // A change of the registration costs system calls, so it is made only when it is needed.
  if (what == std::exchange(awaited_, what)) return;
  event_del(&event_);
  switch (what) {
    case Await::kNothing:
      break;
    case Await::kInput:
      return Register(event_get_base(&event_), EV_READ);
    case Await::kOutput:
      return Register(event_get_base(&event_), EV_WRITE);
  }
}

Transferred PlainTransport::Receive(std::span<const iovec> pieces) {
  LARDER_ASSERT(AreUsable(pieces));
  // The common case is one piece, which needs no list.
  const ssize_t received = pieces.size() == 1
                               ? recv(fd_, pieces[0].iov_base, pieces[0].iov_len, 0)
                               : readv(fd_, pieces.data(), static_cast<int>(pieces.size()));
  if (received < 0) return FailureOf(errno);
  // A result of 0 means the end of the stream, because the pieces have room for a byte.
  if (received == 0) return {.status = TransferStatus::kEnded};
  return {.status = TransferStatus::kDone, .bytes = static_cast<std::size_t>(received)};
}

Transferred PlainTransport::Send(std::span<const iovec> pieces) {
  LARDER_ASSERT(AreUsable(pieces));
  ssize_t sent = 0;
  do {
    if (pieces.size() == 1) {
      // MSG_NOSIGNAL: a client that is gone must lead to an error here and not to SIGPIPE.
      sent = send(fd_, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL);
    } else {
      msghdr message{};
      message.msg_iov = const_cast<iovec*>(pieces.data());
      message.msg_iovlen = pieces.size();
      sent = sendmsg(fd_, &message, MSG_NOSIGNAL);
    }
    // An interrupted call has sent nothing. It is repeated at once, because the caller would treat
    // kBlocked as a full socket and copy the replies.
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return FailureOf(errno);
  return {.status = TransferStatus::kDone, .bytes = static_cast<std::size_t>(sent)};
}

void PlainTransport::Finish(std::span<char> area) { EndSocket(fd_, area); }

}  // namespace larder::server
