// Certificates: those that end the start, and those that are replaced while the server runs.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <thread>
#include <vector>

#include "server/certificates.h"
#include "tests/wire/tls_fixture.h"

namespace larder::wire {
namespace {

using Catch::Contains;
using Catch::StartsWith;
using server::Certificates;
using server::ConfigExit;

// The failure of a start with these files.
ConfigExit StartFailure(const Config& config) {
  const auto created = Certificates::Create(config);
  if (created) FAIL("these files were taken");
  return created.error();
}

Config ConfigOf(const TlsFiles& files) {
  Config config;
  files.Configure(config);
  return config;
}

TEST_CASE("files that cannot be used end the start", "[tls][certificates]") {
  const TlsFiles files;
  Config config = ConfigOf(files);
  SECTION("no chain was named") {
    config.tls_chain_file.clear();
    CHECK_THAT(StartFailure(config).message,
               StartsWith("Error loading the certificate chain: (null) : error:"));
  }
  SECTION("the chain is missing") {
    config.tls_chain_file = files.folder / "none";
    CHECK(StartFailure(config).message ==
          "Error loading the certificate chain: " + config.tls_chain_file +
              " : error:80000002:system library::No such file or directory\r\n");
  }
  SECTION("the chain is no certificate") {
    WriteFile(files.chain(), "nonsense\n");
    CHECK_THAT(StartFailure(config).message,
               StartsWith("Error loading the certificate chain: " + files.chain() + " : error:"));
  }
  SECTION("the chain is cut off") {
    const std::string text = files.server.CertificateText();
    WriteFile(files.chain(), text.substr(0, text.size() / 2));
    CHECK_THAT(StartFailure(config).message, StartsWith("Error loading the certificate chain: "));
  }
  SECTION("the key is missing") {
    config.tls_key_file = files.folder / "none";
    CHECK_THAT(StartFailure(config).message,
               StartsWith("Error loading the key: " + config.tls_key_file + " : error:80000002"));
  }
  SECTION("the key is that of another certificate") {
    WriteFile(files.key(), files.client.KeyText());
    CHECK(StartFailure(config).message ==
          "Error loading the key: " + files.key() +
              " : error:05800074:x509 certificate routines::key values mismatch\r\n");
  }
  SECTION("the key has another format") {
    config.tls_key_format = 2;
    CHECK_THAT(StartFailure(config).message, StartsWith("Error loading the key: "));
  }
  SECTION("the signers are missing") {
    config.tls_ca_file = files.folder / "none";
    CHECK_THAT(StartFailure(config).message,
               StartsWith("Error loading the CA certificate: " + config.tls_ca_file));
  }
  SECTION("the ciphers are none") {
    config.tls_ciphers = "BOGUS";
    CHECK(StartFailure(config).message == "Error setting the provided cipher(s): BOGUS\r\n");
  }
  SECTION("the cipher suites are none") {
    config.tls_ciphersuites = "BOGUS";
    CHECK(StartFailure(config).message == "Error setting the provided cipher suite(s): BOGUS\r\n");
  }
  SECTION("the certificate has expired") {
    files.Write(MakeIdentity({.signer = &files.signer, .begins_in_days = -9, .ends_in_days = -2}));
    CHECK_THAT(StartFailure(config).message,
               StartsWith("Error validating the certificate: " + files.chain() + " : expired at "));
  }
  SECTION("the certificate is not valid yet") {
    files.Write(MakeIdentity({.signer = &files.signer, .begins_in_days = 2}));
    CHECK_THAT(StartFailure(config).message, Contains(" : not valid before "));
  }
  if (geteuid() != 0) {
    chmod(files.key().c_str(), 0);
    CHECK_THAT(StartFailure(config).message, Contains("Permission denied"));
  }
}

TEST_CASE("every start that certificates end has the code 64", "[tls][certificates]") {
  Config config;
  config.tls = true;
  CHECK(StartFailure(config).exit_code == 64);
}

TEST_CASE("one file may hold the chain and the key", "[tls][certificates]") {
  const TlsFiles files;
  Config config = ConfigOf(files);
  WriteFile(files.chain(), files.server.CertificateText() + files.server.KeyText());
  config.tls_key_file.clear();
  CHECK(static_cast<bool>(Certificates::Create(config)));
}

TEST_CASE("a certificate that expires soon is warned of", "[tls][certificates]") {
  const TlsFiles files;
  files.Write(MakeIdentity({.signer = &files.signer, .ends_in_days = 5}));
  const auto loaded = server::TlsContexts::Load(ConfigOf(files), 1);
  REQUIRE(static_cast<bool>(loaded));
  REQUIRE((*loaded)->warnings().size() == 1);
  CHECK_THAT((*loaded)->warnings().front(), Contains(files.chain()) && Contains("expires in"));
}

TEST_CASE_METHOD(TlsTest, "new connections have the new certificate, old ones the old",
                 "[wire][tls]") {
  TlsClient old(server);
  CHECK(old.server_name() == "first");
  files.Write(MakeIdentity({.name = "second", .signer = &files.signer}));
  CHECK(TlsClient(server).server_name() == "first");
  const std::string serial = plain.Stats().at("ssl_cert_serial");
  plain.Send("refresh_certs and more\r\n").Expect("OK\r\n");
  CHECK(TlsClient(server).server_name() == "second");
  CHECK(plain.Stats().at("ssl_cert_serial") != serial);
  CHECK(old.server_name() == "first");
  old.Send("mn\r\n").Expect("MN\r\n");
}

TEST_CASE_METHOD(TlsTest, "a reload that fails changes nothing, and the next one may succeed",
                 "[wire][tls]") {
  const Identity next = MakeIdentity({.name = "second", .signer = &files.signer});
  SECTION("of two files only one is new") {
    WriteFile(files.chain(), next.CertificateText());
    plain.Send("refresh_certs\r\n")
        .Expect("Error loading the key: " + files.key() +
                " : error:05800074:x509 certificate routines::key values mismatch\r\n");
  }
  SECTION("a file is gone") {
    std::filesystem::remove(files.key());
    plain.Send("refresh_certs\r\n");
    CHECK_THAT(plain.ReceiveLine(), StartsWith("Error loading the key: " + files.key()));
  }
  SECTION("a file is half written") {
    WriteFile(files.chain(), next.CertificateText().substr(0, 100));
    plain.Send("refresh_certs\r\n");
    CHECK_THAT(plain.ReceiveLine(), StartsWith("Error loading the certificate chain: "));
  }
  SECTION("the new one has expired") {
    files.Write(MakeIdentity({.signer = &files.signer, .begins_in_days = -9, .ends_in_days = -2}));
    plain.Send("refresh_certs\r\n");
    CHECK_THAT(plain.ReceiveLine(), Contains(" : expired at "));
  }
  CHECK(TlsClient(server).server_name() == "first");
  CHECK(FailureOf(server, {}).empty());
  CHECK(plain.Stat("ssl_reload_errors") == 1);
  files.Write(next);
  plain.Send("refresh_certs\r\n").Expect("OK\r\n");
  CHECK(TlsClient(server).server_name() == "second");
  CHECK(plain.Stat("ssl_reload_errors") == 1);
}

TEST_CASE_METHOD(TlsTest, "SIGHUP loads the certificates, too", "[wire][tls]") {
  files.Write(MakeIdentity({.name = "second", .signer = &files.signer}));
  server.Reload();
  CHECK(TlsClient(server).server_name() == "second");
  WriteFile(files.key(), "nonsense");
  server.Reload();
  CHECK(plain.Stat("ssl_reload_errors") == 1);
  CHECK(TlsClient(server).server_name() == "second");
}

TEST_CASE_METHOD(TlsTest, "changed files are noticed", "[wire][tls]") {
  files.Write(MakeIdentity({.name = "second", .signer = &files.signer}));
  server.AdvanceClock(20);
  CHECK(TlsClient(server).server_name() == "second");
  // A failure is reported when it is there at the second look, and once.
  WriteFile(files.key(), "nonsense");
  server.AdvanceClock(20);
  CHECK(plain.Stat("ssl_reload_errors") == 0);
  for (int i = 0; i < 3; ++i) server.AdvanceClock(20);
  CHECK(plain.Stat("ssl_reload_errors") == 1);
  CHECK(TlsClient(server).server_name() == "second");
  files.Write(MakeIdentity({.name = "third", .signer = &files.signer}));
  server.AdvanceClock(20);
  CHECK(TlsClient(server).server_name() == "third");
}

TEST_CASE("a folder that is swapped by a symbolic link is noticed", "[wire][tls]") {
  namespace fs = std::filesystem;
  const TlsFiles files;
  const Identity next = MakeIdentity({.name = "second", .signer = &files.signer});
  for (const char* const name : {"one", "two"}) {
    fs::create_directory(files.folder / name);
    const Identity& identity = std::string_view(name) == "one" ? files.server : next;
    WriteFile((files.folder / name) + "/tls.crt", identity.CertificateText());
    WriteFile((files.folder / name) + "/tls.key", identity.KeyText());
  }
  const std::string link = files.folder / "data";
  fs::create_directory_symlink("one", link);
  TestServer server([&](Config& config) {
    files.Configure(config);
    AddListeners(config);
    config.tls_chain_file = link + "/tls.crt";
    config.tls_key_file = link + "/tls.key";
  });
  CHECK(TlsClient(server).server_name() == "first");
  fs::create_directory_symlink("two", link + ".next");
  fs::rename(link + ".next", link);
  server.AdvanceClock(20);
  CHECK(TlsClient(server).server_name() == "second");
}

TEST_CASE("with ssl_reload_interval=0 nobody looks", "[wire][tls]") {
  const TlsFiles files;
  TestServer server([&](Config& config) {
    files.Configure(config);
    AddListeners(config);
    config.tls_reload_interval_s = 0;
  });
  files.Write(MakeIdentity({.name = "second", .signer = &files.signer}));
  for (int i = 0; i < 3; ++i) server.AdvanceClock(1000);
  CHECK(TlsClient(server).server_name() == "first");
}

// Handshakes while the certificates are replaced again and again: none fails.
void HandshakeWhileReloading(int handshakes, int per_reload) {
  TlsFiles files;
  TestServer server([&](Config& config) {
    files.Configure(config);
    AddListeners(config);
  });
  Client plain = server.Connect(kPlainListener);
  TlsClient lasting(server);
  const Identity other = MakeIdentity({.name = "other", .signer = &files.signer});
  int failures = 0;
  for (int i = 0; i < handshakes; ++i) {
    if (i % per_reload == 0) {
      files.Write(i / per_reload % 2 == 0 ? other : files.server);
      plain.Send("refresh_certs\r\n").Expect("OK\r\n");
      lasting.Send("mn\r\n").Expect("MN\r\n");
    }
    const bool needs_certificate = i % 3 == 0;
    if (!FailureOf(server, {.listener = needs_certificate ? kMtlsListener : kTlsListener,
                            .identity = needs_certificate ? &files.client : nullptr})
             .empty()) {
      ++failures;
    }
  }
  CHECK(failures == 0);
  CHECK(plain.Stat("ssl_handshake_errors") == 0);
  CHECK(plain.Stat("ssl_handshakes") == static_cast<std::uint64_t>(handshakes) + 1);
}

TEST_CASE("no handshake fails while certificates are replaced", "[wire][tls]") {
  HandshakeWhileReloading(300, 10);
}

// Connects and asks, again and again, until `stops`. For threads, so it asserts nothing: returns
// how many clients were not served.
int ConnectUntil(int port, const std::atomic<bool>& stops, std::atomic<int>& served) {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                                  &SSL_CTX_free);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int failures = 0;
  while (!stops.load()) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context.get()), &SSL_free);
    SSL_set_fd(ssl.get(), fd);
    std::array<char, 16> reply{};
    const bool is_served =
        connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
        SSL_connect(ssl.get()) == 1 && SSL_write(ssl.get(), "mn\r\n", 4) == 4 &&
        SSL_read(ssl.get(), reply.data(), reply.size()) == 4;
    if (is_served) ++served;
    if (!is_served) ++failures;
    close(fd);
  }
  return failures;
}

TEST_CASE_METHOD(TlsTest, "clients of several threads are served while certificates are replaced",
                 "[wire][tls]") {
  const int port = server.server().listeners().at(kTlsListener).port();
  const Identity other = MakeIdentity({.name = "other", .signer = &files.signer});
  std::atomic<bool> stops{false};
  std::atomic<int> served{0};
  std::array<int, 3> failures{};
  std::vector<std::thread> threads;
  for (int& count : failures) {
    threads.emplace_back([&] { count = ConnectUntil(port, stops, served); });
  }
  for (int i = 0; i < 40 || served.load() < 60; ++i) {
    files.Write(i % 2 == 0 ? other : files.server);
    plain.Send("refresh_certs\r\nstats\r\nstats conns\r\n").Expect("OK\r\n");
    plain.ReceiveUntil("END\r\n");
    plain.ReceiveUntil("END\r\n");
  }
  stops.store(true);
  for (std::thread& thread : threads) thread.join();
  CHECK(failures == std::array<int, 3>{});
}

TEST_CASE("10,000 handshakes, and a reload every 100", "[.tls_long]") {
  HandshakeWhileReloading(10'000, 100);
}

}  // namespace
}  // namespace larder::wire
