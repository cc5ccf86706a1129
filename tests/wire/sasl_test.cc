#include <map>
#include <string>
#include <utility>
#include <vector>

#include "server/config/config.h"
#include "tests/sasl_folder.h"
#include "tests/wire/binary_fixture.h"

namespace larder::wire {
namespace {

constexpr std::uint16_t kContinueStatus = 0x21;

Packet PlainRequest(std::string_view user, std::string_view password) {
  return {.opcode = kSaslAuth, .key = "PLAIN", .value = PlainMessage(user, password)};
}

Packet AuthenticatedReply(std::uint8_t opcode = kSaslAuth) {
  return {.opcode = opcode, .value = "Authenticated"};
}

Packet VersionPacket() { return {.opcode = kVersion, .value = std::string(server::WireVersion())}; }

// A server with -S, whose password file knows alice.
class SaslTest {
 protected:
  BinaryClient Connect() { return BinaryClient(server.Connect()); }
  BinaryClient Connected() {
    BinaryClient connected = Connect();
    connected.Send(PlainRequest("alice", "secret")).Expect(AuthenticatedReply());
    return connected;
  }

  SaslFolder folder;
  TestServer server{[this](Config& config) {
    folder.WritePasswordFile("alice:secret\nbob:hidden\n");
    config.sasl = true;
    config.protocol = server::BindingProtocol::kBinary;
  }};
  BinaryClient client = Connect();
};

TEST_CASE_METHOD(SaslTest, "a client comes in with PLAIN", "[wire][binary][sasl]") {
  client.Send({.opcode = kSaslList}).Expect({.opcode = kSaslList, .value = "PLAIN"});
  client.Send(PlainRequest("alice", "secret")).Expect(AuthenticatedReply());
  client.Set("a", "x");
  CHECK(client.ValueOf("a") == "x");
}

TEST_CASE_METHOD(SaslTest, "after a wrong SASL password the right one may follow",
                 "[wire][binary][sasl]") {
  for (const auto& [user, password] :
       {std::pair{"alice", "wrong"}, std::pair{"alice", "hidden"}, std::pair{"alice", ""},
        std::pair{"carol", "secret"}, std::pair{"", ""}}) {
    CAPTURE(user, password);
    client.Send(PlainRequest(user, password)).Expect(kSaslAuth, kAuthFailure);
  }
  client.Send({.opcode = kSaslAuth, .key = "NONE", .value = "x"}).Expect(kSaslAuth, kAuthFailure);
  client.Send({.opcode = kSaslAuth, .key = "plain", .value = PlainMessage("alice", "secret")})
      .Expect(AuthenticatedReply())
      .ExpectNothing();
}

TEST_CASE_METHOD(SaslTest, "before SASL everything else is refused and closed upon",
                 "[wire][binary][sasl]") {
  for (int opcode = 0; opcode < 256; ++opcode) {
    if (opcode == kVersion || opcode == kQuit || opcode == kQuitQ || opcode == kSaslList ||
        opcode == kSaslAuth || opcode == kSaslStep) {
      continue;
    }
    CAPTURE(opcode);
    const auto code = static_cast<std::uint8_t>(opcode);
    const std::string extras(opcode == kSet ? 8 : 0, '\0');
    BinaryClient stranger = Connect();
    stranger.SendAll(
        {{.opcode = code, .extras = extras, .key = "a", .value = "x"}, {.opcode = kVersion}});
    stranger.Expect(code, kAuthFailure);
    stranger.client.ExpectClosed();
  }
}

TEST_CASE_METHOD(SaslTest, "before SASL version and quit are answered", "[wire][binary][sasl]") {
  client.SendAll({{.opcode = kVersion}, {.opcode = kVersion}, {.opcode = kQuit}});
  client.Expect(VersionPacket()).Expect(VersionPacket()).Expect({.opcode = kQuit});
  client.client.ExpectClosed();
  BinaryClient quiet = Connect();
  quiet.SendAll({{.opcode = kVersion}, {.opcode = kQuitQ}, {.opcode = kVersion}});
  quiet.Expect(VersionPacket());
  quiet.client.ExpectClosed();
}

TEST_CASE_METHOD(SaslTest, "a large value before SASL takes no memory", "[wire][binary][sasl]") {
  BinaryClient other = Connected();
  Packet store = StorePacket({.key = "a", .value = PatternBytes(900000, 1)});
  const std::string bytes = store.Request();
  client.client.Send(std::string_view(bytes).substr(0, 100000));
  client.Expect(kSet, kAuthFailure);
  client.client.ExpectClosed();
  other.Send({.opcode = kGet, .key = "a"}).Expect(kGet, kNotFound).ExpectNothing();
}

TEST_CASE_METHOD(SaslTest, "before SASL wrong lengths are refused as such where the command is not",
                 "[wire][binary][sasl]") {
  const auto check = [this](const Packet& packet, const BinaryError& error) {
    BinaryClient stranger = Connect();
    stranger.Send(packet).Expect(packet.opcode, error);
    stranger.client.ExpectClosed();
  };
  check({.opcode = kGet, .key_bytes = 5, .body_bytes = 3}, kUnknownCommand);
  check({.opcode = kGet}, kAuthFailure);
  check({.opcode = kGet, .key = std::string(251, 'k')}, kAuthFailure);
  check({.opcode = kSaslAuth, .value = "x"}, kInvalidArguments);
  check({.opcode = kVersion, .key = "x"}, kInvalidArguments);
}

TEST_CASE_METHOD(SaslTest, "bytes that begin no packet are closed upon", "[wire][binary][sasl]") {
  Client text = server.Connect();
  text.Send("get aaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nversion\r\nstats\r\n").ExpectClosed();
  Client login = server.Connect();
  login.Send(SetRequest("auth", "alice secret") + "stats\r\n").ExpectClosed();
}

TEST_CASE_METHOD(SaslTest, "PLAIN may take two steps", "[wire][binary][sasl]") {
  client.Send({.opcode = kSaslStep, .key = "PLAIN", .value = PlainMessage("alice", "secret")})
      .Expect(kSaslStep, kAuthFailure);
  client.Send({.opcode = kSaslAuth, .key = "PLAIN"})
      .Expect({.opcode = kSaslAuth, .status = kContinueStatus});
  client.Send({.opcode = kVersion}).Expect(VersionPacket());
  client.Send({.opcode = kSaslStep, .key = "PLAIN", .value = PlainMessage("alice", "secret")})
      .Expect(AuthenticatedReply(kSaslStep))
      .ExpectNothing();
}

TEST_CASE_METHOD(SaslTest, "an attempt that failed or was listed over does not go on",
                 "[wire][binary][sasl]") {
  const Packet step{.opcode = kSaslStep, .key = "PLAIN", .value = PlainMessage("alice", "secret")};
  client.Send({.opcode = kSaslAuth, .key = "PLAIN"});
  CHECK(client.Receive().status == kContinueStatus);
  client.Send({.opcode = kSaslStep, .key = "PLAIN"}).Expect(kSaslStep, kAuthFailure);
  client.Send(step).Expect(kSaslStep, kAuthFailure);
  client.Send({.opcode = kSaslAuth, .key = "PLAIN"});
  CHECK(client.Receive().status == kContinueStatus);
  client.Send({.opcode = kSaslList}).Expect({.opcode = kSaslList, .value = "PLAIN"});
  client.Send(step).Expect(kSaslStep, kAuthFailure);
}

TEST_CASE_METHOD(SaslTest, "listing, a failed and a started attempt take the admission back",
                 "[wire][binary][sasl]") {
  const Packet again = GENERATE(Packet{.opcode = kSaslList}, PlainRequest("alice", "wrong"),
                                Packet{.opcode = kSaslAuth, .key = "PLAIN"});
  CAPTURE(int{again.opcode}, again.value);
  BinaryClient admitted = Connected();
  // In one piece: what was parsed together must not be served together.
  admitted.SendAll({{.opcode = kNoop}, again, {.opcode = kNoop}, {.opcode = kVersion}});
  admitted.Expect({.opcode = kNoop});
  CHECK(admitted.Receive().opcode == again.opcode);
  admitted.Expect(kNoop, kAuthFailure);
  admitted.client.ExpectClosed();
}

TEST_CASE_METHOD(SaslTest, "a client may authenticate again in a pipeline",
                 "[wire][binary][sasl]") {
  client.SendAll({PlainRequest("alice", "secret"),
                  {.opcode = kNoop},
                  PlainRequest("bob", "hidden"),
                  StorePacket({.key = "a", .value = "x"}),
                  {.opcode = kGet, .key = "a"}});
  client.Expect(AuthenticatedReply()).Expect({.opcode = kNoop}).Expect(AuthenticatedReply());
  CHECK(client.Receive().opcode == kSet);
  CHECK(client.Receive().value == "x");
  client.ExpectNothing();
}

TEST_CASE_METHOD(SaslTest, "a long mechanism is refused, and the next request is found",
                 "[wire][binary][sasl]") {
  client.Send({.opcode = kSaslAuth, .key = std::string(33, 'M'), .value = "x"})
      .Expect(kSaslAuth, kInvalidArguments);
  client.Send({.opcode = kSaslAuth, .key = std::string(32, 'M'), .value = "x"})
      .Expect(kSaslAuth, kAuthFailure);
  client.Send(PlainRequest("alice", "secret")).Expect(AuthenticatedReply()).ExpectNothing();
}

TEST_CASE_METHOD(SaslTest, "a message too long is thrown away", "[wire][binary][sasl]") {
  const BinaryError out_of_memory{0x82, "Out of memory"};
  client.SendAll({PlainRequest("alice", std::string(100000, 'p')), {.opcode = kVersion}});
  client.Expect(kSaslAuth, out_of_memory).Expect(VersionPacket());
  client.Send(PlainRequest(std::string(8000, 'u'), std::string(8000, 'p')))
      .Expect(kSaslAuth, kAuthFailure);
  client.Send(PlainRequest("alice", "secret")).Expect(AuthenticatedReply()).ExpectNothing();
}

TEST_CASE_METHOD(SaslTest, "each SASL connection gives its own password", "[wire][binary][sasl]") {
  BinaryClient other = Connected();
  client.Send({.opcode = kNoop}).Expect(kNoop, kAuthFailure);
  client.client.ExpectClosed();
  other.ExpectNothing();
}

TEST_CASE_METHOD(SaslTest, "SASL attempts are counted, and the failed ones",
                 "[wire][binary][sasl]") {
  client.Send(PlainRequest("alice", "wrong")).Expect(kSaslAuth, kAuthFailure);
  client.Send({.opcode = kSaslAuth, .key = "PLAIN"});
  CHECK(client.Receive().status == kContinueStatus);
  client.Send({.opcode = kSaslList}).Expect({.opcode = kSaslList, .value = "PLAIN"});
  client.Send(PlainRequest("alice", "secret")).Expect(AuthenticatedReply());
  std::map<std::string, std::string> stats;
  for (const char* group : {"", "settings"}) {
    client.Send({.opcode = kStat, .key = group});
    for (Packet row = client.Receive(); !row.key.empty(); row = client.Receive()) {
      stats[row.key] = row.value;
    }
  }
  CHECK(stats.at("auth_cmds") == "2");
  CHECK(stats.at("auth_errors") == "1");
  CHECK(stats.at("auth_enabled_sasl") == "yes");
  CHECK(stats.at("auth_enabled_ascii") == "no");
  CHECK(stats.at("binding_protocol") == "binary");
}

// --- Beside -Y ----------------------------------------------------------------------------------

// A server with -S and -Y.
class BothTest {
 protected:
  BothTest() { server.LogProbesInWith(SetRequest("auth", "tom text")); }

  SaslFolder folder;
  TestServer server{[this](Config& config) {
    folder.WritePasswordFile("alice:secret\n");
    WriteFile(folder / "users", "tom:text\n");
    config.sasl = true;
    config.auth_file = folder / "users";
  }};
};

TEST_CASE_METHOD(BothTest, "each protocol has its own passwords", "[wire][binary][sasl][auth]") {
  Client text = server.Connect();
  text.Send("get a\r\n").Expect("CLIENT_ERROR unauthenticated\r\n");
  text.Send(SetRequest("auth", "alice secret")).Expect("CLIENT_ERROR authentication failure\r\n");
  text.Send(SetRequest("auth", "tom text")).Expect("STORED\r\n").ExpectNothing();
  BinaryClient binary(server.Connect());
  binary.Send(PlainRequest("tom", "text")).Expect(kSaslAuth, kAuthFailure);
  binary.Send(PlainRequest("alice", "secret")).Expect(AuthenticatedReply()).ExpectNothing();
  BinaryClient stranger(server.Connect());
  stranger.Send({.opcode = kGet, .key = "a"}).Expect(kGet, kAuthFailure);
  stranger.client.ExpectClosed();
}

TEST_CASE_METHOD(BothTest, "SASL may come byte by byte", "[wire][binary][sasl]") {
  const std::string request =
      Packet{.opcode = kSaslList}.Request() + PlainRequest("alice", "wrong").Request() +
      PlainRequest("alice", "secret").Request() + Packet{.opcode = kNoop}.Request();
  std::vector<std::string_view> pieces;
  for (std::size_t at = 0; at < request.size(); ++at) {
    pieces.push_back(std::string_view(request).substr(at, 1));
  }
  BinaryClient client(server.Connect());
  client.client.SendInPieces(pieces);
  client.Expect({.opcode = kSaslList, .value = "PLAIN"})
      .Expect(kSaslAuth, kAuthFailure)
      .Expect(AuthenticatedReply())
      .Expect({.opcode = kNoop});
}

TEST_CASE_METHOD(SaslTest, "a text client at a port for SASL is closed upon at its first byte",
                 "[wire][binary][sasl]") {
  server.Connect().Send("g").ExpectClosed();
}

// --- libsasl2 -----------------------------------------------------------------------------------

TEST_CASE("a client comes in by libsasl2's configuration", "[wire][binary][sasl]") {
  const SaslFolder folder("PLAIN");
  TestServer server([](Config& config) {
    config.sasl = true;
    config.protocol = server::BindingProtocol::kBinary;
  });
  SaslFolder::AddUser("alice", "secret");
  BinaryClient client(server.Connect());
  client.Send({.opcode = kSaslList}).Expect({.opcode = kSaslList, .value = "PLAIN"});
  client.Send(PlainRequest("alice", "wrong")).Expect(kSaslAuth, kAuthFailure);
  client.Send({.opcode = kSaslAuth, .key = "PLAIN"})
      .Expect({.opcode = kSaslAuth, .status = kContinueStatus});
  client.Send({.opcode = kSaslStep, .key = "PLAIN", .value = PlainMessage("alice", "secret")})
      .Expect(AuthenticatedReply(kSaslStep))
      .ExpectNothing();
}

}  // namespace
}  // namespace larder::wire
