// Fuzzes the first bytes that a listener for TLS gets: whatever comes, the server neither crashes
// nor hangs, serves no request, and lets the client go when it closes its end.
//
// The server has no threads: the worker's turns run here. The first byte of an input chooses the
// rule about client certificates, and whether the rest comes in one piece.
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "server/authenticator.h"
#include "server/certificates.h"
#include "server/clock.h"
#include "server/net/worker.h"
#include "slab/cache.h"
#include "tests/fuzz/stream.h"
#include "tests/server/worker_parts.h"

namespace larder::server {
namespace {

// The path of a file that is nowhere in the file system, with a new key and a certificate for it.
std::string MakeCertificate() {
  static EVP_PKEY* const key = EVP_EC_gen("P-256");
  static X509* const certificate = X509_new();
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -86'400);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 86'400 * 100);
  X509_set_pubkey(certificate, key);
  Require(X509_sign(certificate, key, EVP_sha256()) != 0);
  BIO* const memory = BIO_new(BIO_s_mem());
  Require(PEM_write_bio_X509(memory, certificate) == 1);
  Require(PEM_write_bio_PrivateKey(memory, key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  char* text = nullptr;
  const long bytes = BIO_get_mem_data(memory, &text);
  const int fd = memfd_create("certificate", MFD_CLOEXEC);
  Require(write(fd, text, static_cast<std::size_t>(bytes)) == bytes);
  BIO_free(memory);
  return "/proc/self/fd/" + std::to_string(fd);
}

Config MakeConfig() {
  Config config;
  config.threads = 1;
  config.memory_bytes = std::uint64_t{1} << 20;
  config.tls = true;
  config.tls_chain_file = MakeCertificate();
  config.tls_ca_file = config.tls_chain_file;
  return config;
}

std::unique_ptr<slab::Cache> MakeCache(const Config& config) {
  slab::Cache::Options options;
  options.memory_bytes = config.memory_bytes;
  options.item_bytes_max = 64 * 1024;
  options.prefault = true;  // Without a thread of its own.
  auto cache = slab::Cache::Create(options);
  Require(static_cast<bool>(cache));
  return std::move(*cache);
}

// All that stays the same from input to input.
struct Frame {
  Frame() : config(MakeConfig()), cache(MakeCache(config)) {
    auto made = Authenticator::Create(config);
    Require(static_cast<bool>(made));
    authenticator = std::move(*made);
    auto loaded = Certificates::Create(config);
    Require(static_cast<bool>(loaded));
    certificates = std::move(*loaded);
    parts =
        std::make_unique<WorkerParts>(config, *cache, clock, *authenticator, certificates.get());
    worker = std::make_unique<Worker>(parts->shared);
  }

  const Config config;
  Clock clock;
  std::unique_ptr<slab::Cache> cache;
  std::unique_ptr<Authenticator> authenticator;
  std::unique_ptr<Certificates> certificates;
  std::unique_ptr<WorkerParts> parts;
  std::unique_ptr<Worker> worker;
};

// Throws away what the server has sent. Returns whether the connection has ended.
bool Drop(int fd) {
  static std::array<char, 64 * 1024> room;
  for (;;) {
    const ssize_t received = recv(fd, room.data(), room.size(), 0);
    if (received <= 0) return received == 0 || errno != EAGAIN;
  }
}

// Sends as much as is taken.
void Send(Frame& frame, int fd, std::string_view bytes) {
  (void)!send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  for (int turn = 0; turn < 3; ++turn) frame.worker->RunOnce();
  (void)Drop(fd);
}

void TestOneStream(std::uint8_t choice, std::string_view stream) {
  static Frame frame;
  std::array<int, 2> ends;
  Require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
  frame.parts->shared.clients.fetch_add(1);
  ClientTerms terms = TermsOf(frame.config);
  terms.transport = TransportKind::kTls;
  terms.certificates = static_cast<ClientCertificates>(choice / 2 % kClientCertificatesKinds);
  frame.worker->Adopt({.fd = ends[1], .terms = terms});
  frame.worker->RunOnce();
  if (choice % 2 == 0) {
    Send(frame, ends[0], stream);
  } else {
    Pieces pieces(choice);
    pieces.Cut(stream, [&](std::string_view piece) { Send(frame, ends[0], piece); });
  }
  shutdown(ends[0], SHUT_WR);
  bool has_ended = false;
  for (int turn = 0; turn < 100 && !has_ended; ++turn) {
    frame.worker->RunOnce();
    has_ended = Drop(ends[0]);
  }
  Require(has_ended);
  close(ends[0]);
  Require(frame.parts->shared.clients.load() == 0);
  // Nobody can know the keys that were agreed on in a stream that was made before.
  Require(frame.worker->counters().value(Stat::kTlsHandshakes) == 0);
  Require(frame.worker->counters().value(Stat::kBytesRead) == 0);
}

}  // namespace
}  // namespace larder::server

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  if (bytes == 0) return 0;
  larder::server::TestOneStream(data[0], {reinterpret_cast<const char*>(data) + 1, bytes - 1});
  return 0;
}
