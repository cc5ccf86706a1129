// The socket of a TLS connection, as OpenSSL sees it.
#pragma once

#include <openssl/bio.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "server/net/transport.h"

namespace larder::server {

// SealedSocket receives encrypted bytes with one system call, and gives them to OpenSSL from
// memory, piece by piece; what OpenSSL writes is sent at once. Between two turns it keeps only what
// OpenSSL had no use for yet, which is rarely anything.
//
// Threads: one worker.
// Owns:    the bytes that it keeps. The socket belongs to the transport.
class SealedSocket {
 public:
  explicit SealedSocket(int fd) : fd_(fd) {}
  SealedSocket(const SealedSocket&) = delete;
  SealedSocket& operator=(const SealedSocket&) = delete;

  // What OpenSSL reads from and writes to; nullptr if there is no memory. Must not be used when
  // this object is gone.
  BIO* MakeBio();

  // Makes the bytes that are kept available to OpenSSL. Returns false if there are none. REQUIRES:
  // has_input() is false.
  bool TakeKept();
  // Receives into `area`, and makes that available. The result is that of recv(2): kDone means that
  // something has come. REQUIRES: has_input() is false.
  TransferStatus Receive(std::span<char> area);
  // Whether OpenSSL has something to read.
  bool has_input() const { return !sealed_.empty(); }
  // Keeps what OpenSSL has not read: the area of Receive() is used for others afterwards.
  void Keep();
  bool holds_input() const { return !kept_.empty(); }

 private:
  // OpenSSL's functions; the data of `bio` is the object.
  static int Read(BIO* bio, char* out, int bytes) noexcept;
  static int Write(BIO* bio, const char* data, int bytes) noexcept;
  static long Control(BIO* bio, int command, long number, void* pointer) noexcept;
  static const BIO_METHOD& Method();

  const int fd_;
  // What Read() returns next: a part of the area of Receive(), or of kept_.
  std::string_view sealed_;
  std::string kept_;
};

}  // namespace larder::server
