// The transport that encrypts what it sends, and decrypts what it receives.
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>
#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "server/net/sealed_socket.h"
#include "server/net/tls_workspace.h"
#include "server/net/transport.h"

namespace larder::server {

// TlsTransport is the server's end of a TLS connection, by OpenSSL.
//
//   socket -> TlsWorkspace::sealed() -> SSL_read -> the pieces of Receive()
//   the pieces of Send() -> TlsWorkspace::Gather() -> SSL_write -> socket
//
// What arrives is received with one system call, and given to OpenSSL from memory. The handshake is
// a part of Receive(): until it is complete, nothing is received. What OpenSSL wants may differ
// from what the user waits for: a read may have to write first, and the other way round.
//
// Bytes that have left the socket and were not asked for, because the pieces were full, are held
// here. The system does not report them, so the workspace notifies the user in each turn.
//
// Threads:    one worker.
// Owns:       the socket, and OpenSSL's state of the connection.
// Invariants: event_ is registered for registered_; the transport is in the workspace's list of
//             those that hold input exactly when it holds some and the user waits for input.
class TlsTransport final : public Transport {
 public:
  // Takes `fd` over and waits for the client's part of the handshake. `context` is used during the
  // call only; `workspace`, `base` and `user` must outlive the transport.
  TlsTransport(int fd, SSL_CTX& context, TlsWorkspace& workspace, event_base& base,
               TransportUser& user);
  // Tells the client that nothing more comes, unless the connection has failed.
  ~TlsTransport() override;

  Transferred Receive(std::span<const iovec> pieces) override;
  Transferred Send(std::span<const iovec> pieces) override;
  void SetAwaited(Await what) override;
  void Finish(std::span<char> area) override;
  int descriptor() const override { return fd_; }
  std::size_t held_bytes() const override;

  // Called by the workspace: there is input that the system does not report.
  void NotifyUser() noexcept { user_.OnTransportReady(); }
  // Called by the workspace: the time of the handshake is over.
  void EndHandshake();

 private:
  using Ssl = std::unique_ptr<SSL, decltype(&SSL_free)>;

  // The callback of libevent; `self` is the transport.
  static void OnEvent(int fd, short what, void* self) noexcept;

  // Connects `ssl_` with socket_, and with the socket itself where the kernel may encrypt. Returns
  // false if there is no memory.
  bool Attach();
  // Makes bytes available to ReadSealed(): those that are held, else those of the socket, as many
  // as `bytes_max`. kDone: there are some, or OpenSSL has some.
  TransferStatus Fill(std::size_t bytes_max);
  // Advances the handshake. kDone: it is complete.
  TransferStatus ContinueHandshake();
  void CountHandshake();
  // Reads what is decrypted into the pieces, until they are full or nothing is left.
  Transferred Read(std::span<const iovec> pieces);
  // kDone if `bytes` is not 0.
  static Transferred DoneOr(std::size_t bytes, TransferStatus otherwise);
  // Tells the client that nothing more is sent, unless that was done or cannot be.
  void SayGoodbye();

  // Handles an error of OpenSSL, which `result` was returned with. `wants_other` is set if the
  // operation waits for the opposite direction. kBlocked: it has to be repeated.
  TransferStatus Handle(int result, bool& wants_other, int other);
  // Ends the connection because of an error, which is counted and logged.
  TransferStatus Fail(std::string_view reason);
  // The connection is lost.
  TransferStatus Lose();
  // The client has closed its end. Returns kEnded, or kFailed if that is an error.
  TransferStatus Leave();
  void SetFailed();

  // Whether there is something to receive, or to report, that the system does not tell of.
  bool holds_input() const {
    return has_peer_finished_ || has_failed_ || socket_.holds_input() ||
           SSL_pending(ssl_.get()) > 0;
  }
  // What event_ has to be registered for: EV_READ, EV_WRITE or 0.
  short Wanted() const;
  // Registers event_ anew if that has changed, and the transport as one that holds input.
  void Update();

  const int fd_;
  event_base& base_;
  TlsWorkspace& workspace_;
  TransportUser& user_;
  // Outlives ssl_, which uses it.
  SealedSocket socket_;
  Ssl ssl_;
  // What the user waits for.
  Await awaited_ = Await::kInput;
  bool is_in_handshake_ = true;
  // Nothing can be received or sent any more.
  bool has_failed_ = false;
  // The client has said that it sends no more.
  bool has_peer_finished_ = false;
  // Something was received after the handshake.
  bool has_received_ = false;
  // The operation waits for the other direction.
  bool read_wants_write_ = false;
  bool write_wants_read_ = false;
  bool is_holding_ = false;
  short registered_ = 0;
  // In the workspace's list of handshakes; valid while is_in_handshake_ and not has_failed_.
  TlsWorkspace::Handshakes::iterator place_;
  event event_ = {};
};

}  // namespace larder::server
