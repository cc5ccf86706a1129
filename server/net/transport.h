// How bytes travel between a client and its connection.
#pragma once

#include <event2/event.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace larder::server {

enum class TransportKind : std::uint8_t {
  kPlain,  // The bytes as they are, over a TCP or unix socket.
};

enum class TransferStatus : std::uint8_t {
  kDone,     // At least one byte went through; there may be room for more.
  kBlocked,  // Nothing went through now: await input, or output.
  kEnded,    // Receive only: the client has sent all that it ever will.
  kFailed,   // The client is gone: nothing goes through any more.
};

struct [[nodiscard]] Transferred {
  TransferStatus status = TransferStatus::kBlocked;
  std::size_t bytes = 0;  // 0 but for kDone.
};

// What a transport wakes.
class TransportUser {
 public:
  // What was awaited has come. Called by the worker's event loop.
  virtual void OnTransportReady() noexcept = 0;

 protected:
  ~TransportUser() = default;
};

// Transport is the connection's end of the line to its client. It never blocks.
//
// Threads: one worker.
// Owns:    the socket, which its destructor closes.
class Transport {
 public:
  enum class Await : std::uint8_t { kNothing, kInput, kOutput };

  virtual ~Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // Fills the pieces in order, with what has come. REQUIRES: they have room for a byte.
  virtual Transferred Receive(std::span<const iovec> pieces) = 0;
  // Sends what is in the pieces, in order, as far as it goes. REQUIRES: there is a byte in them.
  virtual Transferred Send(std::span<const iovec> pieces) = 0;

  // What wakes the user from now on, until told otherwise; in the beginning it is input. It is
  // called again and again while bytes are there, or there is room for them.
  virtual void Wake(Await on) = 0;

  // Before a close by the server: says that no more will be sent, and receives what has come and
  // will not be served, to throw it away. Otherwise the system would close by a reset, at which the
  // client may lose the last replies. `area` is used for it.
  virtual void Finish(std::span<char> area) = 0;

  // The descriptor that stands for the client in `stats conns` and in what is printed.
  virtual int descriptor() const = 0;
  // The memory that it takes, constant.
  virtual std::size_t held_bytes() const = 0;

 protected:
  Transport() = default;
};

// Takes over `fd`, a socket in non-blocking mode. `base` and `user` must outlive it.
std::unique_ptr<Transport> MakeTransport(TransportKind kind, int fd, event_base& base,
                                         TransportUser& user);

}  // namespace larder::server
