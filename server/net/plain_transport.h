// The transport that sends and receives the bytes as they are.
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>

#include <cstddef>
#include <span>

#include "server/net/transport.h"

namespace larder::server {

// PlainTransport receives and sends with one system call per attempt, after the event loop has
// reported that the call will not block.
//
// Threads:    one worker.
// Owns:       the socket.
// Invariants: event_ belongs to the worker's event base, and is registered there exactly when
// awaited_ is not kNothing.
class PlainTransport final : public Transport {
 public:
  // Takes `fd` over and waits for input at first. `base` and `user` must outlive the transport.
  PlainTransport(int fd, event_base& base, TransportUser& user);
  ~PlainTransport() override;

  Transferred Receive(std::span<const iovec> pieces) override;
  Transferred Send(std::span<const iovec> pieces) override;
  void SetAwaited(Await what) override;
  void Finish(std::span<char> area) override;
  int descriptor() const override { return fd_; }
  std::size_t held_bytes() const override { return sizeof *this; }

 private:
  // The callback of libevent; `self` is the transport.
  static void OnEvent(int fd, short what, void* self) noexcept;
  // Registers event_ with `base` for EV_READ or EV_WRITE. REQUIRES: event_ is not registered.
  void Register(event_base* base, short what);

  const int fd_;
  TransportUser& user_;
  // What event_ is registered for.
  Await awaited_ = Await::kInput;
  // Stored in place: each connection needs one, and it is registered anew each time that it
  // changes.
  event event_ = {};
};

}  // namespace larder::server
