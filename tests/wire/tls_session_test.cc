// Sessions of TLS: who may resume one, and where.
#include "tests/wire/tls_fixture.h"

namespace larder::wire {
namespace {

constexpr std::array kVersions = {TLS1_2_VERSION, TLS1_3_VERSION};

// Connects with these options and returns the session that the client could resume.
std::shared_ptr<SSL_SESSION> MakeSession(TestServer& server, const TlsClientOptions& options) {
  TlsClient client(server, options);
  // Tickets of TLS 1.3 come behind the handshake.
  client.Send("mn\r\n").Expect("MN\r\n");
  auto session = client.session();
  client.SayGoodbye();
  return session;
}

// Whether a client is served and has resumed the session.
bool IsResumed(TestServer& server, TlsClientOptions options, SSL_SESSION* session) {
  options.session = session;
  TlsClient client(server, options);
  client.Send("mn\r\n").Expect("MN\r\n");
  return client.is_resumed();
}

TEST_CASE_METHOD(TlsTest, "a session resumes at the same listener", "[wire][tls]") {
  for (const int version : kVersions) {
    for (const std::size_t listener : {kTlsListener, kMtlsListener, kBtlsListener}) {
      const TlsClientOptions options{
          .listener = listener, .identity = &files.client, .version = version};
      const auto session = MakeSession(server, options);
      CHECK(IsResumed(server, options, session.get()));
    }
  }
  CHECK(plain.Stat("ssl_resumed") == 6);
  CHECK(plain.Stat("ssl_handshakes") == 12);
}

TEST_CASE_METHOD(TlsTest, "a session of another listener leads to a whole handshake",
                 "[wire][tls]") {
  for (const int version : kVersions) {
    for (const std::size_t from : {kTlsListener, kBtlsListener}) {
      const auto session = MakeSession(server, {.listener = from, .version = version});
      // Without a certificate nobody is let in, whatever session there is.
      CHECK_FALSE(
          FailureOf(server,
                    {.listener = kMtlsListener, .version = version, .session = session.get()})
              .empty());
      CHECK_FALSE(IsResumed(
          server, {.listener = kMtlsListener, .identity = &files.client, .version = version},
          session.get()));
    }
  }
}

TEST_CASE("with ssl_session_cache sessions are counted, and stay with their listener",
          "[wire][tls]") {
  const TlsFiles files;
  TestServer server([&](Config& config) {
    files.Configure(config);
    AddListeners(config);
    config.tls_session_cache = true;
  });
  Client plain = server.Connect(kPlainListener);
  CHECK(plain.Stat("ssl_new_sessions") == 0);
  const TlsClientOptions options{.version = TLS1_2_VERSION};
  const auto session = MakeSession(server, options);
  CHECK(plain.Stat("ssl_new_sessions") == 1);
  CHECK(IsResumed(server, options, session.get()));
  CHECK(plain.Stat("ssl_new_sessions") == 1);
  for (const int version : kVersions) {
    const auto open = MakeSession(server, {.listener = kBtlsListener, .version = version});
    CHECK_FALSE(
        FailureOf(server, {.listener = kMtlsListener, .version = version, .session = open.get()})
            .empty());
  }
}

TEST_CASE("a client without tickets resumes what the server has kept", "[wire][tls]") {
  const TlsFiles files;
  const bool keeps = GENERATE(true, false);
  TestServer server([&](Config& config) {
    files.Configure(config);
    AddListeners(config);
    config.tls_session_cache = keeps;
  });
  const TlsClientOptions options{.version = TLS1_2_VERSION, .takes_tickets = false};
  const auto session = MakeSession(server, options);
  CHECK(IsResumed(server, options, session.get()) == keeps);
}

TEST_CASE_METHOD(TlsTest, "a session from before new signers does not resume", "[wire][tls]") {
  for (const int version : kVersions) {
    const TlsClientOptions options{
        .listener = kMtlsListener, .identity = &files.client, .version = version};
    const auto session = MakeSession(server, options);
    const Identity other = MakeIdentity({.name = "other signer"});
    WriteFile(files.signers(), other.CertificateText());
    plain.Send("refresh_certs\r\n").Expect("OK\r\n");
    TlsClientOptions resuming = options;
    resuming.session = session.get();
    CHECK_FALSE(FailureOf(server, resuming).empty());
    WriteFile(files.signers(), files.signer.CertificateText());
    plain.Send("refresh_certs\r\n").Expect("OK\r\n");
    CHECK_FALSE(IsResumed(server, options, session.get()));
  }
}

TEST_CASE_METHOD(TlsTest, "a reload that changes nothing leaves sessions alone", "[wire][tls]") {
  const auto session = MakeSession(server, {});
  plain.Send("refresh_certs\r\n").Expect("OK\r\n");
  CHECK(IsResumed(server, {}, session.get()));
}

}  // namespace
}  // namespace larder::wire
