// Clients that do not speak TLS as they should harm nobody.
#include <poll.h>
#include <sys/socket.h>

#include <filesystem>
#include <vector>

#include "tests/wire/tls_fixture.h"

namespace larder::wire {
namespace {

using Catch::Contains;

std::size_t OpenDescriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count;
}

TEST_CASE_METHOD(TlsTest, "a plain client at a listener for TLS gets nothing", "[wire][tls]") {
  Client client = server.Connect(kTlsListener);
  client.Send("get k\r\n").ExpectClosed();
  CHECK(plain.Stat("ssl_handshake_errors") == 1);
  CHECK(plain.Stat("ssl_proto_errors") == 0);
  CHECK(FailureOf(server, {}).empty());
}

TEST_CASE_METHOD(TlsTest, "who watches connections sees what went wrong with TLS",
                 "[wire][tls][watch]") {
  Client watcher = server.Connect(kPlainListener);
  watcher.Send("watch connevents\r\n").Expect("OK\r\n");
  server.Connect(kTlsListener).Send("get a\r\n").ExpectClosed();
  // The fixture's own client may come a little later, too.
  std::string line;
  while (line.find("type=conntlserr ") == std::string::npos) line = watcher.ReceiveUntil("\n");
  CHECK_THAT(line, Catch::Matches("ts=\\d+\\.\\d{6} gid=\\d+ type=conntlserr fd=\\d+ msg=.+\n"));
  while (line.find(" reason=error ") == std::string::npos) line = watcher.ReceiveUntil("\n");
}

TEST_CASE_METHOD(TlsTest, "a client of TLS may watch", "[wire][tls][watch]") {
  TlsClient watcher(server);
  watcher.Send("watch fetchers\r\n").Expect("OK\r\n");
  plain.Send("get a\r\n").Expect("END\r\n");
  CHECK(watcher.ReceiveUntil("\n").find("type=item_get key=a status=not_found") !=
        std::string::npos);
  // Many lines, more than a record holds.
  std::string gets;
  std::string ends;
  for (int i = 0; i < 500; ++i) {
    gets += "get a\r\n";
    ends += "END\r\n";
  }
  plain.Send(gets).Expect(ends);
  for (int i = 0; i < 500; ++i) watcher.ReceiveUntil(" size=0\n");
}

TEST_CASE_METHOD(TlsTest, "a client of TLS at a plain listener sees a wrong version",
                 "[wire][tls]") {
  CHECK_THAT(FailureOf(server, {.listener = kPlainListener}), Contains("wrong version number"));
  plain.Send("mn\r\n").Expect("MN\r\n");
}

TEST_CASE_METHOD(TlsTest, "one who says nothing goes when the time is over", "[wire][tls]") {
  Client silent = server.Connect(kTlsListener);
  Client half = server.Connect(kTlsListener);
  half.Send(ClientHello().substr(0, 50));
  TlsClient other(server);
  server.Settle();
  CHECK(plain.Stat("ssl_handshake_errors") == 0);
  server.AdvanceClock(8);
  plain.Send("mn\r\n").Expect("MN\r\n");
  CHECK(plain.Stat("ssl_handshake_errors") == 0);
  server.AdvanceClock(8);
  silent.ExpectClosed();
  half.ExpectClosed();
  CHECK(plain.Stat("ssl_handshake_errors") == 2);
  // Those who are in stay.
  other.Send("mn\r\n").Expect("MN\r\n");
}

TEST_CASE_METHOD(TlsTest, "one who leaves in the middle of a handshake is an error",
                 "[wire][tls]") {
  const std::string hello = ClientHello();
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{3}, std::size_t{100}, hello.size()}) {
    Client client = server.Connect(kTlsListener);
    client.Send(std::string_view(hello).substr(0, bytes));
    client.FinishSending();
    client.ReceiveBytes(100'000);
  }
  CHECK(plain.Stat("ssl_handshake_errors") == 4);
  Client resetting = server.Connect(kTlsListener);
  resetting.Send(hello);
  resetting.Reset();
  CHECK(FailureOf(server, {}).empty());
}

TEST_CASE_METHOD(TlsTest, "one who goes without a farewell is no error", "[wire][tls]") {
  TlsClient client(server);
  client.Send("mn\r\n").Expect("MN\r\n");
  client.socket().Close();
  // Nor is one who goes in the middle of a record.
  TlsClient second(server);
  second.Send("mn\r\n").Expect("MN\r\n");
  second.socket().Send("\x17\x03\x03\x01");
  second.socket().Close();
  server.Settle();
  CHECK(plain.Stat("ssl_handshake_errors") == 0);
  CHECK(plain.Stat("ssl_proto_errors") == 0);
  CHECK(plain.Stat("curr_connections") < 10);
}

TEST_CASE_METHOD(TlsTest, "one who goes before asking for anything did not trust the server",
                 "[wire][tls]") {
  TlsClient client(server);
  client.socket().Close();
  server.Settle();
  CHECK(plain.Stat("ssl_handshake_errors") == 1);
}

TEST_CASE_METHOD(TlsTest, "a record that was changed ends the connection", "[wire][tls]") {
  TlsClient client(server);
  client.Send("mn\r\n").Expect("MN\r\n");
  client.socket().Send(std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x'));
  server.Settle();
  CHECK(plain.Stat("ssl_proto_errors") == 1);
  CHECK(plain.Stat("ssl_handshake_errors") == 0);
}

TEST_CASE_METHOD(TlsTest, "garbage of all lengths", "[wire][tls]") {
  for (std::size_t bytes = 1; bytes < 3'000; bytes = bytes * 3 + 1) {
    Client client = server.Connect(kTlsListener);
    client.Send(PatternBytes(bytes, bytes));
    client.FinishSending();
    client.ReceiveBytes(1'000);
  }
  const std::string hello = ClientHello();
  for (std::size_t at = 0; at < hello.size(); at += 7) {
    std::string changed = hello;
    changed[at] = static_cast<char>(changed[at] ^ 0x41);
    Client client = server.Connect(kTlsListener);
    client.Send(changed);
    client.FinishSending();
    client.ReceiveBytes(100'000);
  }
  CHECK(FailureOf(server, {}).empty());
}

TEST_CASE_METHOD(TlsTest, "renegotiation is refused", "[wire][tls]") {
  TlsClient client(server, {.version = TLS1_2_VERSION});
  client.Send("mn\r\n").Expect("MN\r\n");
  SSL_renegotiate(client.ssl());
  CHECK(SSL_do_handshake(client.ssl()) != 1);
  CHECK(FailureOf(server, {}).empty());
}

TEST_CASE_METHOD(TlsTest, "no descriptor is left behind", "[wire][tls]") {
  const std::string hello = ClientHello();
  // The fixture's own connections are made once.
  server.Settle();
  const std::size_t before = OpenDescriptors();
  for (int i = 0; i < 50; ++i) {
    CHECK(FailureOf(server, {}).empty());
    CHECK_FALSE(FailureOf(server, {.listener = kMtlsListener}).empty());
    server.Connect(kTlsListener).Send("get k\r\n").ExpectClosed();
    server.Connect(kTlsListener).Send(hello).Reset();
    server.Connect(kTlsListener).Send(std::string_view(hello).substr(0, 9)).Close();
  }
  // Connections that have come and gone are gone in the server, too.
  for (int i = 0; i < 200 && plain.Stat("curr_connections") > 3; ++i) server.PassTurns(2);
  CHECK(OpenDescriptors() <= before + 2);
}

TEST_CASE("those who are in are served during a storm of handshakes", "[wire][tls]") {
  const TlsFiles files;
  TestServer server([&](Config& config) {
    files.Configure(config);
    AddListeners(config);
    config.threads = 1;
  });
  TlsClient lasting(server);
  const std::string hello = ClientHello();
  std::vector<Client> storm;
  for (int i = 0; i < 200; ++i) storm.push_back(server.Connect(kTlsListener));
  for (Client& client : storm) client.Send(hello);
  // The only worker answers between the handshakes, of which a turn has few.
  lasting.Send("mn\r\n").Expect("MN\r\n");
  for (Client& client : storm) CHECK(client.ReceiveBytes(1) == "\x16");
}

TEST_CASE("over the limit a client is told in plain text", "[wire][tls]") {
  const TlsFiles files;
  TestServer server([&](Config& config) {
    files.Configure(config);
    AddListeners(config);
    config.connections_max = 2;
  });
  TlsClient first(server);
  Client second = server.Connect(kPlainListener);
  Client third = server.Connect(kTlsListener);
  third.Expect("ERROR Too many open connections\r\n").ExpectClosed();
  CHECK(second.Stat("rejected_connections") == 1);
}

}  // namespace
}  // namespace larder::wire
