// TLS in the turns of a worker, without threads.
#include <openssl/bio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <vector>

#include "server/authenticator.h"
#include "server/certificates.h"
#include "server/net/tls_workspace.h"
#include "server/net/worker.h"
#include "tests/server/worker_parts.h"
#include "tests/wire/tls_fixture.h"

namespace larder::server {
namespace {

std::unique_ptr<slab::Cache> MakeSmallCache() {
  slab::Cache::Options options;
  options.memory_bytes = std::uint64_t{4} << 20;
  auto cache = slab::Cache::Create(options);
  REQUIRE(static_cast<bool>(cache));
  return std::move(*cache);
}

class TlsTurnTest {
 public:
  TlsTurnTest() {
    files_.Configure(config_);
    auto made = Authenticator::Create(config_);
    REQUIRE(static_cast<bool>(made));
    authenticator_ = std::move(*made);
    auto loaded = Certificates::Create(config_);
    REQUIRE(static_cast<bool>(loaded));
    certificates_ = std::move(*loaded);
    parts_ = std::make_unique<WorkerParts>(config_, *cache_, clock_, *authenticator_,
                                           certificates_.get());
    worker_ = std::make_unique<Worker>(parts_->shared);
  }
  ~TlsTurnTest() {
    for (const int fd : clients_) close(fd);
  }

  // A client that is not on this machine, as far as the server knows.
  int Connect(TransportKind transport) {
    std::array<int, 2> ends;
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
    parts_->shared.clients.fetch_add(1);
    ClientTerms terms;
    terms.transport = transport;
    worker_->Adopt({.fd = ends[1], .terms = terms});
    worker_->RunOnce();
    return clients_.emplace_back(ends[0]);
  }
  static void Send(int fd, std::string_view bytes) {
    REQUIRE(send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size()));
  }
  // What has come for the client.
  static std::string Receive(int fd) {
    std::string bytes(64 << 10, '\0');
    const ssize_t received = recv(fd, bytes.data(), bytes.size(), 0);
    bytes.resize(received < 0 ? 0 : static_cast<std::size_t>(received));
    return bytes;
  }

 protected:
  const wire::TlsFiles files_;
  Config config_;
  Clock clock_;
  const std::unique_ptr<slab::Cache> cache_ = MakeSmallCache();
  std::unique_ptr<Authenticator> authenticator_;
  std::unique_ptr<Certificates> certificates_;
  std::unique_ptr<WorkerParts> parts_;
  std::unique_ptr<Worker> worker_;
  std::vector<int> clients_;
};

TEST_CASE_METHOD(TlsTurnTest, "a turn advances few handshakes, and serves all others",
                 "[tls][turn]") {
  constexpr int kStorm = 5 * kHandshakesPerTurnMax;
  const int plain = Connect(TransportKind::kPlain);
  std::vector<int> storm;
  for (int i = 0; i < kStorm; ++i) storm.push_back(Connect(TransportKind::kTls));
  const std::string hello = wire::ClientHello();
  for (const int fd : storm) Send(fd, hello);
  int answered = 0;
  for (int turn = 0; answered < kStorm; ++turn) {
    REQUIRE(turn <= kStorm);
    Send(plain, "mn\r\n");
    worker_->RunOnce();
    CHECK(Receive(plain) == "MN\r\n");
    int answered_now = 0;
    for (const int fd : storm) answered_now += Receive(fd).empty() ? 0 : 1;
    CHECK(answered_now <= kHandshakesPerTurnMax);
    answered += answered_now;
  }
  CHECK(answered == kStorm);
}

TEST_CASE_METHOD(TlsTurnTest, "refresh_certs is not for clients of other machines", "[tls][turn]") {
  const int stranger = Connect(TransportKind::kPlain);
  Send(stranger, "refresh_certs\r\n");
  worker_->RunOnce();
  CHECK(Receive(stranger) == "CLIENT_ERROR refresh_certs not allowed\r\n");
}

}  // namespace
}  // namespace larder::server
