#include <fmt/format.h>

#include <string>
#include <vector>

#include "tests/temporary_folder.h"
#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

constexpr std::string_view kUnauthenticated = "CLIENT_ERROR unauthenticated\r\n";
constexpr std::string_view kFailure = "CLIENT_ERROR authentication failure\r\n";

std::string Login(std::string_view user, std::string_view password) {
  return SetRequest("auth", fmt::format("{} {}", user, password));
}

std::string VersionReply() { return fmt::format("VERSION {}\r\n", server::WireVersion()); }

// A server with -Y, whose file knows alice and bob.
class AuthTest {
 protected:
  AuthTest() { server.LogProbesInWith(Login("alice", "secret")); }

  Client Connected(std::string_view user, std::string_view password) {
    Client connected = server.Connect();
    connected.Send(Login(user, password)).Expect("STORED\r\n");
    return connected;
  }

  TemporaryFolder folder;
  const std::string path = folder / "users";
  TestServer server{[this](Config& config) {
    WriteFile(path, "alice:secret\nbob:a b:c\n");
    config.auth_file = path;
    config.protocol = server::BindingProtocol::kAscii;
    config.shutdown_command = true;
  }};
  Client client = server.Connect();
};

TEST_CASE_METHOD(AuthTest, "a client comes in with its password", "[wire][auth]") {
  client.Send(Login("alice", "secret")).Expect("STORED\r\n");
  client.Send(SetRequest("a", "x") + "get a auth\r\n")
      .Expect("STORED\r\n" + ValueReply("a", "x") + "END\r\n")
      .ExpectNothing();
}

TEST_CASE_METHOD(AuthTest, "passwords may have spaces and colons", "[wire][auth]") {
  client.Send(Login("bob", "a b")).Expect(kFailure);
  client.Send(Login("bob", "a b:c")).Expect("STORED\r\n").ExpectNothing();
}

TEST_CASE_METHOD(AuthTest, "a wrong password may be followed by the right one", "[wire][auth]") {
  for (const auto& [user, password] :
       {std::pair{"alice", "secre"}, std::pair{"alice", "secret "}, std::pair{"alice", "a b:c"},
        std::pair{"bob", "secret"}, std::pair{"carol", "secret"}, std::pair{"", ""}}) {
    CAPTURE(user, password);
    client.Send(Login(user, password)).Expect(kFailure);
  }
  client.Send("get a\r\n").Expect(kUnauthenticated);
  client.Send(Login("alice", "secret")).Expect("STORED\r\n").ExpectNothing();
}

TEST_CASE_METHOD(AuthTest, "without a password nothing is served", "[wire][auth]") {
  for (const char* request : {"get a\r\n",
                              "gets a b c\r\n",
                              "gat 0 a\r\n",
                              "gats 0 a\r\n",
                              "delete a\r\n",
                              "incr a 1\r\n",
                              "touch a 0\r\n",
                              "flush_all\r\n",
                              "stats\r\n",
                              "stats conns\r\n",
                              "verbosity 1\r\n",
                              "cache_memlimit 8\r\n",
                              "shutdown\r\n",
                              "mg a v\r\n",
                              "me aaa\r\n",
                              "mg aaa v\r\n",
                              "md aaa\r\n",
                              "ma aaa\r\n",
                              "watch mutations\r\n",
                              "lru_crawler metadump all\r\n",
                              "config get cluster\r\n",
                              "misbehave\r\n",
                              "set a\r\n",
                              "set a 0 0 -1\r\n"}) {
    CAPTURE(request);
    client.Send(request).Expect(kUnauthenticated);
  }
  client.Send(Login("alice", "secret")).Expect("STORED\r\n").ExpectNothing();
}

TEST_CASE_METHOD(AuthTest, "values of clients without a password are thrown away", "[wire][auth]") {
  Client other = Connected("alice", "secret");
  for (const char* verb : {"add", "replace", "append", "prepend", "cas"}) {
    CAPTURE(verb);
    client
        .Send(StorageRequest({.verb = verb, .key = "a", .value = "get a\r\nversion", .rest = "1"}))
        .Expect(kUnauthenticated);
  }
  client.Send("ms a 7\r\nversion\r\n").Expect(kUnauthenticated);
  client.Send("version\r\n").Expect(VersionReply());
  other.Send("get a\r\n").Expect("END\r\n");
  CHECK(other.Stat("cmd_set") == 0);
}

TEST_CASE_METHOD(AuthTest, "a large value without a password takes no memory", "[wire][auth]") {
  Client other = Connected("alice", "secret");
  const std::string before = other.Stats("slabs").at("total_malloced");
  const std::string value = PatternBytes(900000, 1);
  client.Send(SetRequest("a", value)).Expect("CLIENT_ERROR auth token too long\r\n");
  client.Send(StorageRequest({.verb = "add", .key = "a", .value = value})).Expect(kUnauthenticated);
  client.Send("version\r\n").Expect(VersionReply());
  // In the middle of a value there is nothing but what was thrown away.
  client.Send("add a 0 0 900000\r\n" + value.substr(0, 500000)).Expect(kUnauthenticated);
  client.ExpectSilence();
  CHECK(other.Stats("slabs").at("total_malloced") == before);
  CHECK(other.Stat("curr_items") == 0);
  CHECK(other.Stat("bytes") == 0);
}

TEST_CASE_METHOD(AuthTest, "version and quit need no password", "[wire][auth]") {
  client.Send("version\r\nversion\r\n").Expect(VersionReply() + VersionReply());
  client.Send("quit\r\nversion\r\n").ExpectClosed();
  server.Connect().Send("quit now please\r\n").ExpectClosed();
}

TEST_CASE_METHOD(AuthTest, "very short lines and binary packets are closed upon", "[wire][auth]") {
  for (const std::string_view request :
       {std::string_view("mn\r\n"), std::string_view("\r\n"), std::string_view("\n"),
        std::string_view("abcd\r\n"), std::string_view("\x80\x0b\0\0\0\0\0\0\0\0\0\0", 12)}) {
    CAPTURE(std::string(request));
    server.Connect().Send(request).ExpectClosed();
  }
}

TEST_CASE_METHOD(AuthTest, "a long line is refused and closed upon, whole or not", "[wire][auth]") {
  const std::string line = "get " + std::string(2045, 'k');
  for (const char* end : {"", "\r\n"}) {
    server.Connect().Send(line + end).Expect(kUnauthenticated).ExpectClosed();
  }
}

TEST_CASE_METHOD(AuthTest, "bad blocks are told apart, and are not read as lines", "[wire][auth]") {
  client.Send(SetRequest("auth", "alice:secret"))
      .Expect("CLIENT_ERROR bad authentication token format\r\n");
  client.Send("set auth 0 0 5\r\nalice secret\r\n")
      .Expect("CLIENT_ERROR bad command line termination\r\n")
      .Expect(kUnauthenticated);  // `secret`, without the seven bytes of the block.
  client.Send(Login("alice", "secret")).Expect("STORED\r\n").ExpectNothing();
}

TEST_CASE_METHOD(AuthTest, "users and passwords longer than any in the file are wrong",
                 "[wire][auth]") {
  for (const std::size_t bytes : {255U, 256U, 257U, 8000U, 16383U}) {
    CAPTURE(bytes);
    client.Send(Login(std::string(bytes, 'u'), "")).Expect(kFailure);
    client.Send(Login("", std::string(bytes, 'p'))).Expect(kFailure);
  }
  client.Send(Login("", std::string(16384, 'p'))).Expect("CLIENT_ERROR auth token too long\r\n");
  client.Send(Login("alice", "secret")).Expect("STORED\r\n").ExpectNothing();
}

TEST_CASE_METHOD(AuthTest, "noreply is not honoured before the password was given",
                 "[wire][auth]") {
  client.Send("set auth 0 0 12 noreply\r\nalice secret\r\n").Expect("STORED\r\n").ExpectNothing();
}

TEST_CASE_METHOD(AuthTest, "requests may be pipelined around the password", "[wire][auth]") {
  std::string request = "get a\r\n" + Login("alice", "wrong") + "version\r\n";
  request += Login("alice", "secret") + SetRequest("a", "x") + "get a\r\nquit\r\n";
  client.Send(request)
      .Expect(kUnauthenticated)
      .Expect(kFailure)
      .Expect(VersionReply())
      .Expect("STORED\r\nSTORED\r\n" + ValueReply("a", "x") + "END\r\n")
      .ExpectClosed();
}

TEST_CASE_METHOD(AuthTest, "a login may come byte by byte", "[wire][auth]") {
  const std::string request = "get a\r\n" + Login("alice", "secret") + "get a\r\n";
  std::vector<std::string_view> pieces;
  for (std::size_t at = 0; at < request.size(); ++at) {
    pieces.push_back(std::string_view(request).substr(at, 1));
  }
  client.SendInPieces(pieces).Expect(kUnauthenticated).Expect("STORED\r\nEND\r\n").ExpectNothing();
}

TEST_CASE_METHOD(AuthTest, "each connection gives its own password", "[wire][auth]") {
  Client other = Connected("alice", "secret");
  other.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  client.Send("get a\r\n").Expect(kUnauthenticated);
  other.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
  other.Close();
  server.Connect().Send("get a\r\n").Expect(kUnauthenticated);
}

TEST_CASE_METHOD(AuthTest, "once in, a login is a set like any other", "[wire][auth]") {
  client.Send(Login("alice", "secret") + Login("alice", "wrong") + "get auth\r\n")
      .Expect("STORED\r\nSTORED\r\n" + ValueReply("auth", "alice wrong") + "END\r\n")
      .ExpectNothing();
}

TEST_CASE_METHOD(AuthTest, "attempts are counted, and the failed ones", "[wire][auth]") {
  client.Send(Login("alice", "wrong")).Expect(kFailure);
  client.Send(Login("bob", "wrong")).Expect(kFailure);
  client.Send("get a\r\n").Expect(kUnauthenticated);
  client.Send(SetRequest("auth", "x")).Expect("CLIENT_ERROR bad authentication token format\r\n");
  client.Send(Login("alice", "secret")).Expect("STORED\r\n");
  CHECK(client.Stat("auth_cmds") == 3);
  CHECK(client.Stat("auth_errors") == 2);
  CHECK(client.Stats("settings").at("auth_enabled_ascii") == path);
  CHECK(client.Stats("settings").at("auth_enabled_sasl") == "no");
  CHECK(client.Stats("settings").at("binding_protocol") == "ascii");
}

TEST_CASE_METHOD(AuthTest, "a hundred users come in", "[wire][auth]") {
  std::string text;
  for (int i = 0; i < 100; ++i) text += fmt::format("user{}:{}\n", i, i * i);
  WriteFile(path, text);
  server.Reload();
  for (int i = 0; i < 100; ++i) Connected(fmt::format("user{}", i), fmt::format("{}", i * i));
  server.Connect().Send(Login("user99", "9802")).Expect(kFailure);
}

TEST_CASE_METHOD(AuthTest, "a reloaded file counts for those that are not in", "[wire][auth]") {
  Client alice = Connected("alice", "secret");
  WriteFile(path, "alice:changed\n");
  client.Send(Login("alice", "changed")).Expect(kFailure);
  server.Reload();
  client.Send(Login("alice", "secret")).Expect(kFailure);
  client.Send(Login("alice", "changed")).Expect("STORED\r\n").ExpectNothing();
  alice.Send("get a\r\n").Expect("END\r\n").ExpectNothing();
}

TEST_CASE_METHOD(AuthTest, "a bad file is not taken over", "[wire][auth]") {
  WriteFile(path, "carol:x\nbad\n");
  server.Reload();
  client.Send(Login("carol", "x")).Expect(kFailure);
  client.Send(Login("alice", "secret")).Expect("STORED\r\n").ExpectNothing();
}

TEST_CASE_METHOD(AuthTest, "a unix socket asks for the password too", "[wire][auth]") {
  TestServer local([this](Config& config) {
    config.auth_file = path;
    config.protocol = server::BindingProtocol::kAscii;
    config.unix_socket = folder / "socket";
  });
  Client local_client = local.Connect();
  local_client.Send("get a\r\n").Expect(kUnauthenticated);
  local_client.Send(Login("alice", "secret")).Expect("STORED\r\n").ExpectNothing();
}

TEST_CASE("without -Y no password is asked for", "[wire][auth]") {
  TestServer server;
  Client client = server.Connect();
  CHECK(client.Stats("settings").at("auth_enabled_ascii") == "no");
  CHECK(client.Stat("auth_cmds") == 0);
}

TEST_CASE("a server does not start with a bad password file", "[wire][auth]") {
  const TemporaryFolder folder;
  Config config;
  config.port = -1;
  config.auth_file = folder / "users";
  for (const char* text : {"", "alice\n"}) {
    WriteFile(config.auth_file, text);
    const auto created = server::Server::Create(config);
    REQUIRE_FALSE(created);
    CHECK(created.error().exit_code == 1);
    CHECK(created.error().message ==
          "Authfile [" + config.auth_file + "] has a malformed entry. Should be 'user:password'");
  }
}

TEST_CASE("a refused client gets its answers, whatever it sends behind them",
          "[wire][auth][fairness]") {
  const int requests_per_turn = GENERATE(1, 2, 1024);
  TemporaryFolder folder;
  WriteFile(folder / "users", "alice:secret\n");
  TestServer server([&](Config& config) {
    config.threads = 1;
    config.requests_per_turn_max = requests_per_turn;
    config.auth_file = folder / "users";
    config.protocol = server::BindingProtocol::kAscii;
  });
  std::vector<Client> busy;
  std::string pipeline;
  std::string replies;
  for (int i = 0; i < 2000; ++i) {
    pipeline += "mn\r\n";
    replies += "MN\r\n";
  }
  for (int i = 0; i < 3; ++i) {
    busy.push_back(server.Connect());
    busy.back().Send("set auth 0 0 12\r\nalice secret\r\n").Expect("STORED\r\n");
  }
  for (int round = 0; round < 60; ++round) {
    for (Client& each : busy) each.SendWithoutReading(pipeline);
    Client refused = server.Connect();
    refused.Send("version\r\nquit\r\nversion\r\nversion\r\nversion\r\n");
    CHECK(refused.ReceiveLine().starts_with("VERSION"));
    for (Client& each : busy) each.Expect(replies);
  }
}

}  // namespace
}  // namespace larder::wire
