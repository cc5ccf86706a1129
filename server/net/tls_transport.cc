#include "server/net/tls_transport.h"

#include <openssl/bio.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

#include "server/log.h"
#include "server/net/socket_end.h"
#include "server/reply/unsent_output.h"
#include "server/tls/error.h"
#include "slab/check.h"

namespace larder::server {
namespace {

// What OpenSSL 3.0 allocates for an idle connection of TLS 1.3, as measured with 2,000 of them.
constexpr std::size_t kSslBytes = 11 * 1024;

std::size_t BytesOf(std::span<const iovec> pieces) {
  std::size_t bytes = 0;
  for (const iovec& piece : pieces) bytes += piece.iov_len;
  return bytes;
}

// Takes the first `bytes` bytes off the pieces. REQUIRES: they have so many.
std::span<iovec> TakeOff(std::span<iovec> pieces, std::size_t bytes) {
  while (!pieces.empty() && bytes >= pieces.front().iov_len) {
    bytes -= pieces.front().iov_len;
    pieces = pieces.subspan(1);
  }
  if (bytes == 0) return pieces;
  LARDER_ASSERT(!pieces.empty());
  iovec& first = pieces.front();
  first = {static_cast<char*>(first.iov_base) + bytes, first.iov_len - bytes};
  return pieces;
}

}  // namespace

TlsTransport::TlsTransport(int fd, SSL_CTX& context, TlsWorkspace& workspace, event_base& base,
                           TransportUser& user)
    : fd_(fd),
      base_(base),
      workspace_(workspace),
      user_(user),
      socket_(fd),
      ssl_(SSL_new(&context), &SSL_free) {
  place_ = workspace_.AddHandshake(*this);
  if (ssl_ == nullptr || !Attach()) (void)Fail("no memory");
  Update();
}

TlsTransport::~TlsTransport() {
  if (is_in_handshake_ && !has_failed_) workspace_.RemoveHandshake(place_);
  if (is_holding_) workspace_.RemoveHolding(*this);
  SayGoodbye();
  // So that the client gets the alert that says why.
  if (has_failed_) EndSocket(fd_, workspace_.sealed());
  if (registered_ != 0) event_del(&event_);
  close(fd_);
}

std::size_t TlsTransport::held_bytes() const { return sizeof *this + kSslBytes; }

bool TlsTransport::Attach() {
  BIO* const in = socket_.MakeBio();
  if (in == nullptr) return false;
  // Only OpenSSL's own functions can have the kernel encrypt.
  BIO* out = in;
  if (workspace_.shared().config.tls_kernel) out = BIO_new_socket(fd_, BIO_NOCLOSE);
  if (out == nullptr) BIO_free(in);
  if (out == nullptr) return false;
  SSL_set_bio(ssl_.get(), in, out);
  SSL_set_accept_state(ssl_.get());
  return true;
}

TransferStatus TlsTransport::Fill(std::size_t bytes_max) {
  // What was received or decrypted already comes first.
  if (socket_.TakeKept() || SSL_pending(ssl_.get()) > 0) return TransferStatus::kDone;
  const std::span<char> area = workspace_.sealed();
  const TransferStatus status = socket_.Receive(area.first(std::min(bytes_max, area.size())));
  // A read that waited for room in the socket goes on without input.
  const bool goes_on = status == TransferStatus::kBlocked && read_wants_write_;
  return goes_on ? TransferStatus::kDone : status;
}

// --- Receiving -----------------------------------------------------------------------------------

Transferred TlsTransport::Receive(std::span<const iovec> pieces) {
  const std::size_t room = BytesOf(pieces);
  LARDER_ASSERT(room > 0);
  if (has_failed_) return {.status = TransferStatus::kFailed};
  if (has_peer_finished_) return {.status = TransferStatus::kEnded};
  // The socket stays readable, so the handshake goes on in a later turn.
  if (is_in_handshake_ && !workspace_.TakeHandshake()) return {.status = TransferStatus::kBlocked};
  // Errors that others have left, such as a plugin of SASL, would be taken for those of this
  // socket.
  DropTlsErrors();
  Transferred result{.status = Fill(room)};
  if (result.status == TransferStatus::kDone && is_in_handshake_) {
    result.status = ContinueHandshake();
  }
  if (result.status == TransferStatus::kDone) {
    result = Read(pieces);
  } else if (result.status == TransferStatus::kEnded) {
    result.status = Leave();
  } else if (result.status == TransferStatus::kFailed && !has_failed_) {
    result.status = Lose();
  }
  socket_.Keep();
  Update();
  return result;
}

Transferred TlsTransport::Read(std::span<const iovec> pieces) {
  std::size_t total = 0;
  for (const iovec& piece : pieces) {
    for (std::size_t filled = 0; filled < piece.iov_len;) {
      // OpenSSL has nothing that could be decrypted.
      if (!socket_.has_input() && SSL_pending(ssl_.get()) == 0 && !read_wants_write_) {
        return DoneOr(total, TransferStatus::kBlocked);
      }
      const int read =
          SSL_read(ssl_.get(), static_cast<char*>(piece.iov_base) + filled,
                   static_cast<int>(std::min<std::size_t>(piece.iov_len - filled, INT_MAX)));
      // An end or a failure behind received bytes is reported by the next call.
      if (read <= 0) return DoneOr(total, Handle(read, read_wants_write_, SSL_ERROR_WANT_WRITE));
      read_wants_write_ = false;
      has_received_ = true;
      filled += static_cast<std::size_t>(read);
      total += static_cast<std::size_t>(read);
    }
  }
  return DoneOr(total, TransferStatus::kBlocked);
}

Transferred TlsTransport::DoneOr(std::size_t bytes, TransferStatus otherwise) {
  return {.status = bytes > 0 ? TransferStatus::kDone : otherwise, .bytes = bytes};
}

TransferStatus TlsTransport::ContinueHandshake() {
  const int result = SSL_do_handshake(ssl_.get());
  if (result != 1) {
    const TransferStatus status = Handle(result, read_wants_write_, SSL_ERROR_WANT_WRITE);
    return status == TransferStatus::kEnded ? Leave() : status;
  }
  is_in_handshake_ = false;
  read_wants_write_ = false;
  workspace_.RemoveHandshake(place_);
  CountHandshake();
  user_.OnTransportSecured(static_cast<std::uint8_t>(SSL_version(ssl_.get())),
                           SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl_.get())));
  return TransferStatus::kDone;
}

void TlsTransport::CountHandshake() {
  WorkerCounters& counters = workspace_.counters();
  counters.Add(Stat::kTlsHandshakes);
  if (SSL_session_reused(ssl_.get()) == 1) {
    counters.Add(Stat::kTlsResumed);
  } else {
    // TLS 1.3 makes a session for each ticket.
    const bool has_tickets = SSL_version(ssl_.get()) == TLS1_3_VERSION;
    counters.Add(Stat::kTlsNewSessions, has_tickets ? SSL_get_num_tickets(ssl_.get()) : 1);
  }
  if (BIO_get_ktls_send(SSL_get_wbio(ssl_.get()))) counters.Add(Stat::kTlsInKernel);
}

// --- Sending -------------------------------------------------------------------------------------

Transferred TlsTransport::Send(std::span<const iovec> pieces) {
  LARDER_ASSERT(pieces.size() <= kPiecesPerSendMax && BytesOf(pieces) > 0);
  if (has_failed_) return {.status = TransferStatus::kFailed};
  LARDER_ASSERT(!is_in_handshake_);
  DropTlsErrors();
  OutputPieces copies;
  std::ranges::copy(pieces, copies.begin());
  std::span<iovec> rest(copies.data(), pieces.size());
  std::size_t total = 0;
  TransferStatus status = TransferStatus::kDone;
  while (!rest.empty() && status == TransferStatus::kDone) {
    const std::string_view text = workspace_.Gather(rest);
    const int written = SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size()));
    if (written <= 0) {
      status = Handle(written, write_wants_read_, SSL_ERROR_WANT_READ);
      break;
    }
    write_wants_read_ = false;
    total += static_cast<std::size_t>(written);
    rest = TakeOff(rest, static_cast<std::size_t>(written));
  }
  Update();
  if (status == TransferStatus::kEnded) status = TransferStatus::kFailed;
  return DoneOr(total, status);
}

void TlsTransport::SayGoodbye() {
  if (has_failed_ || is_in_handshake_) return;
  if ((SSL_get_shutdown(ssl_.get()) & SSL_SENT_SHUTDOWN) != 0) return;
  // Sent if there is room; nothing is awaited.
  (void)SSL_shutdown(ssl_.get());
  DropTlsErrors();
}

void TlsTransport::Finish(std::span<char> area) {
  SayGoodbye();
  EndSocket(fd_, area);
}

// --- Errors --------------------------------------------------------------------------------------

TransferStatus TlsTransport::Handle(int result, bool& wants_other, int other) {
  const int error = SSL_get_error(ssl_.get(), result);
  wants_other = error == other;
  switch (error) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return TransferStatus::kBlocked;
    case SSL_ERROR_ZERO_RETURN:
      has_peer_finished_ = true;
      return TransferStatus::kEnded;
    case SSL_ERROR_SYSCALL:
      return Lose();
    default:
      return Fail(TakeTlsError());
  }
}

TransferStatus TlsTransport::Lose() {
  if (is_in_handshake_) return Fail("the client is gone");
  // As on plain connections, this is no error, unless nothing was asked for: see Leave().
  if (!has_received_) workspace_.counters().Add(Stat::kTlsHandshakeErrors);
  SetFailed();
  return TransferStatus::kFailed;
}

TransferStatus TlsTransport::Leave() {
  if (is_in_handshake_) return Fail("the client has left");
  // Without a farewell, and without having asked for anything: most likely the client did not
  // accept the certificate.
  if (!has_received_) workspace_.counters().Add(Stat::kTlsHandshakeErrors);
  return TransferStatus::kEnded;
}

TransferStatus TlsTransport::Fail(std::string_view reason) {
  workspace_.counters().Add(is_in_handshake_ ? Stat::kTlsHandshakeErrors
                                             : Stat::kTlsProtocolErrors);
  if (workspace_.shared().verbosity.load(std::memory_order_relaxed) > 0) {
    Log(LogLevel::kWarning, "{}: TLS {}: {}", fd_, is_in_handshake_ ? "handshake failed" : "failed",
        reason);
  }
  workspace_.events().AddTlsError(fd_, reason);
  SetFailed();
  return TransferStatus::kFailed;
}

void TlsTransport::SetFailed() {
  LARDER_ASSERT(!has_failed_);
  if (is_in_handshake_) workspace_.RemoveHandshake(place_);
  has_failed_ = true;
  read_wants_write_ = false;
  write_wants_read_ = false;
  DropTlsErrors();
}

void TlsTransport::EndHandshake() {
  (void)Fail("it took too long");
  Update();
}

// --- Events --------------------------------------------------------------------------------------

void TlsTransport::OnEvent(int, short, void* self) noexcept {
  static_cast<TlsTransport*>(self)->user_.OnTransportReady();
}

short TlsTransport::Wanted() const {
  switch (awaited_) {
    case Await::kNothing:
      return 0;
    case Await::kInput:
      return read_wants_write_ ? EV_WRITE : EV_READ;
    case Await::kOutput:
      return write_wants_read_ ? EV_READ : EV_WRITE;
  }
  return 0;
}

void TlsTransport::SetAwaited(Await what) {
  awaited_ = what;
  Update();
}

void TlsTransport::Update() {
  const short wanted = Wanted();
  if (wanted != registered_) {
    if (registered_ != 0) event_del(&event_);
    registered_ = wanted;
    event_assign(&event_, &base_, fd_, static_cast<short>(wanted | EV_PERSIST), &OnEvent, this);
    if (wanted != 0) event_add(&event_, nullptr);
  }
  const bool is_holding = awaited_ == Await::kInput && !read_wants_write_ && holds_input();
  if (is_holding == is_holding_) return;
  is_holding_ = is_holding;
  is_holding ? workspace_.AddHolding(*this) : workspace_.RemoveHolding(*this);
}

}  // namespace larder::server
