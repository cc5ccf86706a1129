// What goes through TLS, and who is let in.
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include "tests/sasl_folder.h"
#include "tests/wire/binary_fixture.h"
#include "tests/wire/tls_fixture.h"

namespace larder::wire {
namespace {

using Catch::Contains;

TEST_CASE_METHOD(TlsTest, "text and meta commands inside TLS", "[wire][tls]") {
  TlsClient client(server);
  client.Send("set k 5 0 3\r\nabc\r\nget k\r\nmg k v f\r\n")
      .Expect("STORED\r\nVALUE k 5 3\r\nabc\r\nEND\r\nVA 3 f5\r\nabc\r\n");
  plain.Send("get k\r\n").Expect(ValueReply("k", "abc", 5) + "END\r\n");
}

TEST_CASE_METHOD(TlsTest, "both versions are served, older ones are not", "[wire][tls]") {
  CHECK(FailureOf(server, {.version = TLS1_2_VERSION}).empty());
  CHECK(FailureOf(server, {.version = TLS1_3_VERSION}).empty());
  CHECK_FALSE(FailureOf(server, {.version = TLS1_1_VERSION}).empty());
}

TEST_CASE("ssl_min_version refuses what is older", "[wire][tls]") {
  const TlsFiles files;
  TestServer server([&](Config& config) {
    files.Configure(config);
    AddListeners(config);
    config.tls_min_version = 3;
  });
  CHECK_THAT(FailureOf(server, {.version = TLS1_2_VERSION}), Contains("protocol version"));
  CHECK(FailureOf(server, {.version = TLS1_3_VERSION}).empty());
}

TEST_CASE_METHOD(TlsTest, "the listener decides about client certificates", "[wire][tls]") {
  CHECK(FailureOf(server, {.listener = kTlsListener}).empty());
  CHECK(FailureOf(server, {.listener = kBtlsListener}).empty());
  CHECK(FailureOf(server, {.listener = kMtlsListener, .identity = &files.client}).empty());
  CHECK_THAT(FailureOf(server, {.listener = kMtlsListener, .version = TLS1_2_VERSION}),
             Contains("handshake failure"));
  CHECK_THAT(FailureOf(server, {.listener = kMtlsListener, .version = TLS1_3_VERSION}),
             Contains("certificate required"));
  const Identity stranger = MakeIdentity({.name = "stranger"});
  CHECK_THAT(FailureOf(server, {.listener = kMtlsListener, .identity = &stranger}),
             Contains("unknown ca"));
}

TEST_CASE("ssl_verify_mode decides where the listener does not", "[wire][tls]") {
  const TlsFiles files;
  const int mode = GENERATE(0, 1, 2, 3);
  TestServer server([&](Config& config) {
    files.Configure(config);
    AddListeners(config);
    config.tls_verify_mode = mode;
  });
  const Identity stranger = MakeIdentity({.name = "stranger"});
  CHECK(FailureOf(server, {.identity = &files.client}).empty());
  CHECK(FailureOf(server, {}).empty() == (mode < 2));
  CHECK(FailureOf(server, {.identity = &stranger}).empty() == (mode == 0));
  CHECK(FailureOf(server, {.listener = kBtlsListener}).empty());
  CHECK_FALSE(FailureOf(server, {.listener = kMtlsListener}).empty());
}

TEST_CASE_METHOD(TlsTest, "requests may be split over records at any byte", "[wire][tls]") {
  TlsClient client(server);
  for (const char byte : std::string_view("set k 0 0 3\r\nabc\r\nget k\r\n"))
    client.Send({&byte, 1});
  client.Expect("STORED\r\n" + ValueReply("k", "abc") + "END\r\n");
}

TEST_CASE_METHOD(TlsTest, "the server gets a record in pieces", "[wire][tls]") {
  TlsClient client(server);
  // OpenSSL writes to memory, and the test sends that byte by byte.
  BIO* const sealed = BIO_new(BIO_s_mem());
  SSL_set0_wbio(client.ssl(), sealed);
  client.Send("set k 0 0 3\r\nabc\r\n");
  std::string record(200, '\0');
  record.resize(static_cast<std::size_t>(BIO_read(sealed, record.data(), 200)));
  for (const char byte : record) client.socket().SendInPieces({{&byte, 1}});
  client.Expect("STORED\r\n");
}

TEST_CASE_METHOD(TlsTest, "one record may hold many requests", "[wire][tls]") {
  TlsClient client(server);
  std::string requests;
  std::string replies;
  for (int i = 0; i < 2'000; ++i) requests += "mn\r\n";
  for (int i = 0; i < 2'000; ++i) replies += "MN\r\n";
  client.Send(requests).Expect(replies);
}

TEST_CASE_METHOD(TlsTest, "large values in both directions", "[wire][tls]") {
  TlsClient client(server, {.version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION)});
  for (const std::size_t bytes : {16'300U, 16'384U, 17'000U, 70'000U, 1'000'000U}) {
    const std::string value = PatternBytes(bytes, bytes);
    client.Send(SetRequest("big", value)).Expect("STORED\r\n");
    client.Send("get big\r\n").Expect(ValueReply("big", value) + "END\r\n");
    client.Send("get big big\r\n")
        .Expect(ValueReply("big", value) + ValueReply("big", value) + "END\r\n");
  }
}

TEST_CASE("the size of a write changes nothing but the records", "[wire][tls]") {
  const TlsFiles files;
  TestServer server([&](Config& config) {
    files.Configure(config);
    AddListeners(config);
    config.tls_write_kilobytes = GENERATE(1U, 40U, 1024U);
  });
  const std::string value = PatternBytes(300'000, 1);
  TlsClient client(server);
  client.Send(SetRequest("big", value)).Expect("STORED\r\n");
  client.Send("get big big\r\n")
      .Expect(ValueReply("big", value) + ValueReply("big", value) + "END\r\n");
}

TEST_CASE_METHOD(TlsTest, "a reader that is slow gets all in the end", "[wire][tls]") {
  TlsClient client(server);
  const std::string value = PatternBytes(1'000'000, 7);
  client.Send(SetRequest("big", value)).Expect("STORED\r\n");
  std::string requests;
  for (int i = 0; i < 40; ++i) requests += "get big\r\n";
  client.Send(requests);
  // The socket is full, and the replies are kept; then all comes, in order.
  server.Settle();
  for (int i = 0; i < 40; ++i) client.Expect(ValueReply("big", value) + "END\r\n");
  client.Send("mn\r\n").Expect("MN\r\n");
}

TEST_CASE_METHOD(TlsTest, "keys are changed in the middle of everything", "[wire][tls]") {
  TlsClient client(server, {.version = TLS1_3_VERSION});
  const std::string value = PatternBytes(200'000, 3);
  client.Send(SetRequest("big", value)).Expect("STORED\r\n");
  for (int i = 0; i < 20; ++i) {
    REQUIRE(SSL_key_update(client.ssl(), SSL_KEY_UPDATE_REQUESTED) == 1);
    client.Send("get big\r\n").Expect(ValueReply("big", value) + "END\r\n");
  }
}

TEST_CASE_METHOD(TlsTest, "new keys are wanted by one who reads nothing", "[wire][tls]") {
  TlsClient client(server, {.version = TLS1_3_VERSION});
  const std::string value = PatternBytes(1'000'000, 3);
  client.Send(SetRequest("big", value)).Expect("STORED\r\n");
  // So much that the server cannot send, and so has to wait for room in order to read.
  std::string requests;
  for (int i = 0; i < 20; ++i) requests += "get big\r\n";
  client.Send(requests);
  server.Settle();
  REQUIRE(SSL_key_update(client.ssl(), SSL_KEY_UPDATE_REQUESTED) == 1);
  client.Send("mn\r\n");
  server.Settle();
  for (int i = 0; i < 20; ++i) client.Expect(ValueReply("big", value) + "END\r\n");
  client.Expect("MN\r\n");
}

TEST_CASE_METHOD(TlsTest, "the server says goodbye", "[wire][tls]") {
  TlsClient client(server);
  client.Send("version\r\nquit\r\n").ReceiveUntil("\r\n");
  client.ExpectGoodbye();
  TlsClient leaver(server);
  leaver.Send("mn\r\n").Expect("MN\r\n").SayGoodbye();
  TlsClient second(server);
  second.Send("mn\r\n").Expect("MN\r\n");
  server.RequestStop();
  second.ExpectGoodbye();
}

TEST_CASE("an idle client is told goodbye", "[wire][tls]") {
  const TlsFiles files;
  TestServer server([&](Config& config) {
    files.Configure(config);
    AddListeners(config);
    config.idle_timeout_s = 2;
  });
  TlsClient client(server);
  client.Send("mn\r\n").Expect("MN\r\n");
  server.AdvanceClock(10);
  client.ExpectGoodbye();
}

TEST_CASE_METHOD(TlsTest, "one who sends no more still gets replies", "[wire][tls]") {
  TlsClient client(server);
  client.Send(SetRequest("big", PatternBytes(500'000, 1))).Expect("STORED\r\n");
  client.Send("get big\r\n");
  SSL_shutdown(client.ssl());
  CHECK(client.ReceiveUntil("END\r\n").size() > 500'000);
}

TEST_CASE_METHOD(TlsTest, "statistics of TLS", "[wire][tls]") {
  TlsClient client(server, {.version = TLS1_3_VERSION});
  client.Send("mn\r\n").Expect("MN\r\n");
  auto rows = plain.Stats();
  CHECK(rows.at("ssl_handshakes") == "1");
  CHECK(rows.at("ssl_resumed") == "0");
  CHECK(rows.at("ssl_handshake_errors") == "0");
  CHECK(rows.at("ssl_proto_errors") == "0");
  CHECK(rows.at("ssl_reload_errors") == "0");
  CHECK(rows.at("ssl_ktls_connections") == "0");
  CHECK(rows.count("ssl_new_sessions") == 0);
  CHECK(std::stoll(rows.at("time_since_server_cert_refresh")) < 60);
  CHECK(std::stoll(rows.at("ssl_cert_expires_in_seconds")) > 99 * 86'400);
  CHECK(std::stoll(rows.at("ssl_ca_expires_in_seconds")) > 99 * 86'400);
  CHECK_FALSE(rows.at("ssl_cert_serial").empty());
  // Plain bytes, not what is on the wire.
  CHECK(rows.at("bytes_read") == "12");
  plain.Send("stats conns\r\n");
  CHECK_THAT(plain.ReceiveUntil("END\r\n"), Contains(":tls TLSv1.3 TLS_AES_"));
}

TEST_CASE("without -Z there are no rows of TLS", "[wire][tls]") {
  TestServer server;
  const auto rows = server.Connect().Stats();
  CHECK(rows.count("ssl_handshake_errors") == 0);
  CHECK(rows.count("ssl_handshakes") == 0);
}

TEST_CASE("passwords of the text protocol inside TLS", "[wire][tls]") {
  const TlsFiles files;
  WriteFile(files.folder / "users", "u:p\n");
  TestServer server([&](Config& config) {
    files.Configure(config);
    AddListeners(config);
    config.auth_file = files.folder / "users";
    config.protocol = server::BindingProtocol::kAscii;
  });
  TlsClient client(server);
  client.Send("get k\r\n").Expect("CLIENT_ERROR unauthenticated\r\n");
  client.Send("set x 0 0 3\r\nu p\r\nmn\r\n").Expect("STORED\r\nMN\r\n");
}

TEST_CASE("binary protocol and SASL inside TLS", "[wire][tls]") {
  const TlsFiles files;
  WriteFile(files.folder / "users", "u:p\n");
  setenv("MEMCACHED_SASL_PWDB", (files.folder / "users").c_str(), 1);
  TestServer server([&](Config& config) {
    files.Configure(config);
    AddListeners(config);
    config.sasl = true;
    config.protocol = server::BindingProtocol::kBinary;
  });
  unsetenv("MEMCACHED_SASL_PWDB");
  const auto request = [](unsigned char opcode, std::string_view key, std::string_view value) {
    std::string packet(24, '\0');
    packet[0] = static_cast<char>(0x80);
    packet[1] = static_cast<char>(opcode);
    packet[3] = static_cast<char>(key.size());
    packet[11] = static_cast<char>(key.size() + value.size());
    return packet.append(key).append(value);
  };
  TlsClient stranger(server);
  stranger.Send(request(0x00, "k", ""));
  CHECK_THAT(stranger.ReceiveUntil("Auth failure."), Contains("Auth failure."));
  TlsClient client(server);
  client.Send(request(0x21, "PLAIN", PlainMessage("u", "p")));
  CHECK_THAT(client.ReceiveUntil("Authenticated"), Contains("Authenticated"));
  client.Send(request(0x00, "k", ""));
  CHECK_THAT(client.ReceiveUntil("Not found"), Contains("Not found"));
}

TEST_CASE("a unix socket stays plain", "[wire][tls]") {
  const TlsFiles files;
  TestServer server([&](Config& config) {
    files.Configure(config);
    config.unix_socket = files.folder / "socket";
  });
  server.Connect().Send("mn\r\n").Expect("MN\r\n");
}

TEST_CASE("ssl_kernel_tls goes on without the kernel's help", "[wire][tls]") {
  const TlsFiles files;
  TestServer server([&](Config& config) {
    files.Configure(config);
    AddListeners(config);
    config.tls_kernel = true;
  });
  const std::string value = PatternBytes(900'000, 5);
  TlsClient client(server);
  client.Send(SetRequest("big", value)).Expect("STORED\r\n");
  client.Send("get big\r\n").Expect(ValueReply("big", value) + "END\r\n");
  Client plain = server.Connect(kPlainListener);
  CHECK(plain.Stat("ssl_ktls_connections") <= plain.Stat("ssl_handshakes"));
}

}  // namespace
}  // namespace larder::wire
