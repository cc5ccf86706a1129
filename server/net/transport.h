// How bytes travel between a client and its connection, independent of the kind of socket.
#pragma once

#include <event2/event.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace larder::server {

// The kinds of transports.
enum class TransportKind : std::uint8_t {
  // The bytes as they are, over a TCP or unix socket.
  kPlain,
  // TLS over a TCP socket.
  kTls,
};

// The result of one attempt to receive or send.
enum class TransferStatus : std::uint8_t {
  // At least one byte was transferred; more may be possible at once.
  kDone,
  // Nothing can be transferred now: wait for input, or for room for output.
  kBlocked,
  // Only when receiving: the client has sent everything that it ever will. It may still read.
  kEnded,
  // The client is gone: nothing can be received or sent any more.
  kFailed,
};

// The result of Transport::Receive() or Send().
struct [[nodiscard]] Transferred {
  TransferStatus status = TransferStatus::kBlocked;
  // The number of bytes that were transferred: 0 unless the status is kDone.
  std::size_t bytes = 0;
};

// TransportUser is notified by a transport. A connection implements it.
//
// Threads: one worker.
class TransportUser {
 public:
  // Input has arrived, or there is room for output, whichever SetAwaited() asked for. Called by the
  // worker's event loop. It must not destroy the transport.
  virtual void OnTransportReady() noexcept = 0;
  // The connection is encrypted from now on, with this cipher; both numbers are TLS's.
  virtual void OnTransportSecured(std::uint8_t version, std::uint16_t cipher) noexcept = 0;

 protected:
  ~TransportUser() = default;
};

// Transport is the server's end of the connection to one client. Its calls never block.
//
// Threads: one worker.
// Owns:    the socket, which its destructor closes.
class Transport {
 public:
  // What the transport waits for on behalf of its user.
  enum class Await : std::uint8_t { kNothing, kInput, kOutput };

  virtual ~Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // Receives what has arrived into the pieces, in their order. REQUIRES: together they have room
  // for at least one byte.
  virtual Transferred Receive(std::span<const iovec> pieces) = 0;
  // Sends the bytes of the pieces, in their order, as many as can be sent without blocking.
  // REQUIRES: together they have at least one byte.
  virtual Transferred Send(std::span<const iovec> pieces) = 0;

  // Sets what the user is notified of, until the next call; at first it is input. The user is
  // notified again in each turn of the event loop for as long as there is input, or room for
  // output.
  virtual void SetAwaited(Await what) = 0;

  // Called before the server closes the connection. Informs the client that no more will be sent,
  // and throws away what the client has sent and the server will not read. Without this the system
  // would reset the connection, and the client could lose the last replies. `area` is used as a
  // buffer for the bytes that are thrown away. REQUIRES: `area` is not empty.
  virtual void Finish(std::span<char> area) = 0;

  // The descriptor that identifies the client in `stats conns` and in log lines. Constant.
  virtual int descriptor() const = 0;
  // The memory that the transport occupies, in bytes. Constant.
  virtual std::size_t held_bytes() const = 0;

 protected:
  Transport() = default;
};

struct ClientTerms;
class TlsWorkspace;

// What the transports of a worker share. Both must outlive the transports.
struct TransportParts {
  event_base& base;
  TlsWorkspace& tls;
};

// A transport, as the terms say, for `fd`, an open socket in non-blocking mode, which it takes
// over. `user` must outlive the transport. REQUIRES: if the terms ask for TLS, the server has
// certificates.
std::unique_ptr<Transport> MakeTransport(const ClientTerms& terms, int fd,
                                         const TransportParts& parts, TransportUser& user);

}  // namespace larder::server
