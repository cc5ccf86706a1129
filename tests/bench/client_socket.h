// One connection's bytes in both directions.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string>

#include "tests/bench/byte_queue.h"
#include "tests/bench/socket.h"

namespace larder::bench {

enum class IoStatus : std::uint8_t {
  kOk,
  kClosed,  // By the server, or broken.
};

// ClientSocket sends a queue of requests and receives into a queue of replies; neither call blocks.
//
// Threads: one worker.
// Owns:    the socket.
class ClientSocket {
 public:
  explicit ClientSocket(UniqueFd fd) : fd_(std::move(fd)) {}

  // Speaks TLS from now on, whatever certificate the server has; returns when the handshake is
  // over. Empty, or what went wrong.
  std::string StartTls();

  // One send of what is queued. Bytes may be left: wait until the socket is writable, try again.
  [[nodiscard]] IoStatus Flush();

  // One receive of what is there, if anything is.
  [[nodiscard]] IoStatus Fill();

  ByteQueue& requests() { return requests_; }
  ByteQueue& replies() { return replies_; }
  bool wants_to_send() const { return !requests_.empty(); }
  int fd() const { return fd_.get(); }

 private:
  using Ssl = std::unique_ptr<SSL, decltype(&SSL_free)>;

  // Flush() and Fill() of a socket that speaks TLS.
  IoStatus FlushTls();
  IoStatus FillTls();

  UniqueFd fd_;
  Ssl ssl_{nullptr, &SSL_free};  // Null: the bytes travel as they are.
  ByteQueue requests_;
  ByteQueue replies_;
};

}  // namespace larder::bench
