// Bytes as they are, over a socket.
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>

#include <cstddef>
#include <span>

#include "server/net/transport.h"

namespace larder::server {

// PlainTransport receives and sends by system calls of its own, when the event loop says that they
// will not block.
//
// Threads: one worker.
// Owns:    the socket.
class PlainTransport final : public Transport {
 public:
  PlainTransport(int fd, event_base& base, TransportUser& user);
  ~PlainTransport() override;

  Transferred Receive(std::span<const iovec> pieces) override;
  Transferred Send(std::span<const iovec> pieces) override;
  void Wake(Await on) override;
  void Finish(std::span<char> area) override;
  int descriptor() const override { return fd_; }
  std::size_t held_bytes() const override { return sizeof *this; }

 private:
  static void OnEvent(int fd, short what, void* self) noexcept;
  void Listen(short what);

  const int fd_;
  event_base& base_;
  TransportUser& user_;
  Await wakes_on_ = Await::kInput;
  event event_;
};

}  // namespace larder::server
