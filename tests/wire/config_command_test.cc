#include <unistd.h>

#include <csignal>
#include <string>

#include "tests/temporary_folder.h"
#include "tests/wire/binary_fixture.h"

namespace larder::wire {
namespace {

constexpr std::string_view kNotAllowed = "CLIENT_ERROR changing the config not allowed\r\n";
constexpr std::string_view kBadConfig = "CLIENT_ERROR bad cluster config\r\n";
constexpr std::string_view kOldVersion = "CLIENT_ERROR cluster config version must grow\r\n";

// The value under its key, and its length as digits.
constexpr std::string_view kKey = "AmazonElastiCache:cluster";
constexpr std::string_view kValue = "12\na.example|10.0.0.1|11211 b.example||11212\n";

std::string ConfigSet(std::string_view value, std::string_view rest = "") {
  return "config set cluster 0 " + std::to_string(value.size()) + std::string(rest) + "\r\n" +
         std::string(value) + "\r\n";
}

std::string ConfigReply(std::string_view value) {
  return "CONFIG cluster 0 " + std::to_string(value.size()) + "\r\n" + std::string(value) +
         "\r\nEND\r\n";
}

// A server that lets its clients change the config.
class ConfigTest {
 protected:
  void Configure(std::string_view value = kValue) {
    client.Send(ConfigSet(value)).Expect("STORED\r\n");
  }

  TestServer server{[](Config& config) { config.cluster_admin = true; }};
  Client client = server.Connect();
};

// --- config get ----------------------------------------------------------------------------------

TEST_CASE_METHOD(WireTest, "without a cluster, config get has nothing", "[wire][config_command]") {
  client.Send("config get cluster\r\n").Expect("END\r\n").ExpectNothing();
  client.Send("get AmazonElastiCache:cluster\r\n").Expect("END\r\n").ExpectNothing();
}

TEST_CASE_METHOD(ConfigTest, "config get answers byte for byte as ElastiCache",
                 "[wire][config_command]") {
  Configure("12\na.example|10.0.0.1|11211 b.example||11212\n");
  client.Send("config get cluster\r\n")
      .Expect(
          "CONFIG cluster 0 45\r\n"
          "12\na.example|10.0.0.1|11211 b.example||11212\n"
          "\r\nEND\r\n")
      .ExpectNothing();
}

TEST_CASE_METHOD(ConfigTest, "config get may be pipelined with anything",
                 "[wire][config_command]") {
  Configure();
  const std::string reply = ConfigReply(kValue);
  client.Send("set a 0 0 1\r\nx\r\nconfig get cluster\r\nget a\r\nconfig get cluster\n")
      .Expect("STORED\r\n" + reply + ValueReply("a", "x") + "END\r\n" + reply)
      .ExpectNothing();
}

TEST_CASE_METHOD(ConfigTest, "config knows the cluster only", "[wire][config_command]") {
  Configure();
  client.Send("config get other\r\n").Expect("END\r\n");
  client.Send("config delete other\r\n").Expect("NOT_FOUND\r\n");
  client.Send("config set other 0 1\r\nx\r\n").Expect(kBadLine).ExpectNothing();
}

TEST_CASE_METHOD(ConfigTest, "a bad config line is an error", "[wire][config_command]") {
  for (const char* request :
       {"config\r\n", "config get\r\n", "config set cluster\r\n", "config set cluster 0\r\n",
        "config set cluster 0 x\r\n", "config set cluster 0 -1\r\n"}) {
    CAPTURE(request);
    client.Send(request).Expect(kBadLine).ExpectNothing();
  }
  client.Send("config list cluster\r\n").Expect("ERROR\r\n").ExpectNothing();
  client.Send("config list cluster noreply\r\n").ExpectNothing();
}

// --- config set and delete -----------------------------------------------------------------------

TEST_CASE_METHOD(WireTest, "the config is not to be changed unless the server allows it",
                 "[wire][config_command]") {
  client.Send(ConfigSet(kValue)).Expect(kNotAllowed);
  client.Send("config delete cluster\r\n").Expect(kNotAllowed);
  client.Send("config get cluster\r\n").Expect("END\r\n").ExpectNothing();
  CHECK(client.Stat("cmd_config_set") == 0);
}

TEST_CASE("a unix socket is on this machine, too", "[wire][config_command]") {
  const TemporaryFolder folder;
  TestServer server([&](Config& config) {
    config.unix_socket = folder / "socket";
    config.cluster_admin = true;
  });
  server.Connect().Send(ConfigSet(kValue)).Expect("STORED\r\n");
}

TEST_CASE_METHOD(ConfigTest, "config set needs a version above the last",
                 "[wire][config_command]") {
  Configure("12\na:1\n");
  client.Send(ConfigSet("12\na:1\n")).Expect("STORED\r\n");  // It is that already.
  client.Send(ConfigSet("12\nb:1\n")).Expect(kOldVersion);
  client.Send(ConfigSet("11\nb:1\n")).Expect(kOldVersion);
  client.Send("config get cluster\r\n").Expect(ConfigReply("12\na||1\n"));
  client.Send(ConfigSet("13\nb:1")).Expect("STORED\r\n");  // The last '\n' is not missed.
  client.Send("config get cluster\r\n").Expect(ConfigReply("13\nb||1\n"));
}

TEST_CASE_METHOD(ConfigTest, "config set takes nothing but a list", "[wire][config_command]") {
  for (const char* value : {"", "12", "12\n", "12\n\n", "x\na:1\n", "0\na:1\n", "12\na\n",
                            "12\na:1 a:1\n", "12\na:1\nb:1\n", "12\r\na:1"}) {
    CAPTURE(value);
    client.Send(ConfigSet(value)).Expect(kBadConfig).ExpectNothing();
  }
  client.Send("config get cluster\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(ConfigTest, "config set with bad flags or a bad block changes nothing",
                 "[wire][config_command]") {
  client.Send("config set cluster x 6\r\n12\na:1\r\n").Expect(kBadLine).ExpectNothing();
  client.Send("config set cluster 0 6\r\n12\na:1xx").Expect(kBadDataChunk).ExpectNothing();
  client.Send("config get cluster\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(ConfigTest, "config set takes its value in any pieces", "[wire][config_command]") {
  const std::string request = ConfigSet(kValue);
  for (std::size_t at = 1; at < request.size(); at += 7) {
    CAPTURE(at);
    client
        .SendInPieces(
            {std::string_view(request).substr(0, at), std::string_view(request).substr(at)})
        .Expect("STORED\r\n");
  }
  client.Send("config get cluster\r\n").Expect(ConfigReply(kValue));
}

TEST_CASE_METHOD(ConfigTest, "a config that is too large is thrown away",
                 "[wire][config_command]") {
  const std::string text(32 * 1024 + 1, 'x');
  client.Send(ConfigSet(text)).Expect(kTooLarge).ExpectNothing();
  client.Send(ConfigSet(text.substr(1))).Expect(kBadConfig).ExpectNothing();
}

TEST_CASE_METHOD(ConfigTest, "the longest list goes through", "[wire][config_command]") {
  std::string nodes;
  for (int i = 0; i < 256; ++i) {
    nodes += "cache-node-number-" + std::to_string(1000 + i) + ".some-service.example||11211 ";
  }
  nodes.back() = '\n';
  Configure("1\n" + nodes);
  client.Send("config get cluster\r\n").Expect(ConfigReply("1\n" + nodes));
  client.Send("get AmazonElastiCache:cluster\r\n");
  client.Expect(ValueReply(kKey, "1\n" + nodes) + "END\r\n");
  client.Send(ConfigSet("2\nz:1 " + nodes)).Expect(kBadConfig).ExpectNothing();
}

TEST_CASE_METHOD(ConfigTest, "config delete leaves no cluster, and no way back for its version",
                 "[wire][config_command]") {
  client.Send("config delete cluster\r\n").Expect("NOT_FOUND\r\n");
  Configure();
  client.Send("config delete cluster\r\n").Expect("DELETED\r\n");
  client.Send("config get cluster\r\n").Expect("END\r\n");
  client.Send("get AmazonElastiCache:cluster\r\n").Expect("END\r\n");
  client.Send(ConfigSet(kValue)).Expect(kOldVersion).ExpectNothing();
}

TEST_CASE_METHOD(ConfigTest, "noreply silences config set and delete", "[wire][config_command]") {
  client.Send(ConfigSet(kValue, " noreply")).ExpectNothing();
  client.Send("config get cluster\r\n").Expect(ConfigReply(kValue));
  client.Send(ConfigSet("bad", " noreply")).ExpectNothing();
  client.Send("config delete cluster noreply\r\n").ExpectNothing();
  client.Send("config get cluster\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(ConfigTest, "config commands are counted", "[wire][config_command][stats]") {
  CHECK(client.Stat("curr_config") == 0);
  Configure();
  client.Send("config get cluster\r\nconfig get other\r\nget AmazonElastiCache:cluster\r\n")
      .ReceiveUntil("END\r\nEND\r\n");
  client.ReceiveUntil("END\r\n");
  client.Send(ConfigSet("bad")).Expect(kBadConfig);
  const auto stats = client.Stats();
  CHECK(stats.at("cmd_config_get") == "3");
  CHECK(stats.at("cmd_config_set") == "2");
  CHECK(stats.at("curr_config") == "1");
  CHECK(stats.at("cmd_get") == "0");
  CHECK(stats.at("get_misses") == "0");
}

// --- The reserved key ----------------------------------------------------------------------------

TEST_CASE_METHOD(ConfigTest, "the reserved key reads as the cluster's config",
                 "[wire][config_command]") {
  Configure();
  const std::string block = ValueReply(kKey, kValue);
  client.Send("get AmazonElastiCache:cluster\r\n").Expect(block + "END\r\n");
  client.Send("gat 0 AmazonElastiCache:cluster\r\n").Expect(block + "END\r\n");
  const std::string with_cas =
      "VALUE AmazonElastiCache:cluster 0 45 12\r\n" + std::string(kValue) + "\r\nEND\r\n";
  client.Send("gets AmazonElastiCache:cluster\r\n").Expect(with_cas);
  client.Send("gats 0 AmazonElastiCache:cluster\r\n").Expect(with_cas).ExpectNothing();
}

TEST_CASE_METHOD(ConfigTest, "the reserved key may stand among others", "[wire][config_command]") {
  Configure();
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  client.Send("get a AmazonElastiCache:cluster nothing AmazonElastiCache:clusteR a\r\n")
      .Expect(ValueReply("a", "x") + ValueReply(kKey, kValue) + ValueReply("a", "x") + "END\r\n")
      .ExpectNothing();
}

TEST_CASE("nothing that a client writes to the reserved key stays", "[wire][config_command]") {
  const bool is_configured = GENERATE(false, true);
  CAPTURE(is_configured);
  TestServer server([](Config& config) { config.cluster_admin = true; });
  Client client = server.Connect();
  if (is_configured) client.Send(ConfigSet(kValue)).Expect("STORED\r\n");
  for (const char* verb : {"set", "add", "replace", "append", "prepend"}) {
    for (const std::size_t bytes : {std::size_t{1}, std::size_t{500'000}}) {
      CAPTURE(verb, bytes);
      const std::string value(bytes, 'x');
      client.Send(StorageRequest({.verb = verb, .key = kKey, .value = value}))
          .Expect("NOT_STORED\r\n")
          .ExpectNothing();
      client.Send(StorageRequest({.verb = verb, .key = kKey, .value = value, .rest = "noreply"}))
          .ExpectNothing();
    }
  }
  client.Send(StorageRequest({.verb = "cas", .key = kKey, .value = "x", .rest = "12"}))
      .Expect("NOT_FOUND\r\n");
  for (const char* request : {"delete", "touch", "incr", "decr"}) {
    CAPTURE(request);
    const bool has_number = std::string_view(request) != "delete";
    client.Send(std::string(request) + " " + std::string(kKey) + (has_number ? " 1" : "") + "\r\n")
        .Expect("NOT_FOUND\r\n");
  }
  client.Send("flush_all\r\n").Expect("OK\r\n");
  client.Send("get AmazonElastiCache:cluster\r\n")
      .Expect((is_configured ? ValueReply(kKey, kValue) : "") + "END\r\n")
      .ExpectNothing();
  CHECK(client.Stat("curr_items") == 0);
}

// --- Meta ----------------------------------------------------------------------------------------

TEST_CASE_METHOD(ConfigTest, "mg reads the reserved key as the cluster's config",
                 "[wire][meta][config_command]") {
  client.Send("mg AmazonElastiCache:cluster v\r\n").Expect("EN\r\n");
  Configure();
  const std::string block = std::string(kValue) + "\r\n";
  client.Send("mg AmazonElastiCache:cluster v\r\n").Expect("VA 45\r\n" + block);
  client.Send("mg AmazonElastiCache:cluster s c k t f h Oabc q v N30 T30\r\n")
      .Expect("VA 45 s45 c12 kAmazonElastiCache:cluster t-1 f0 h0 Oabc\r\n" + block);
  client.Send("mg AmazonElastiCache:cluster\r\n").Expect("HD\r\n");
  client.Send("mg QW1hem9uRWxhc3RpQ2FjaGU6Y2x1c3Rlcg== b k\r\n")
      .Expect("HD kQW1hem9uRWxhc3RpQ2FjaGU6Y2x1c3Rlcg== b\r\n")
      .ExpectNothing();
}

TEST_CASE("nothing that a meta command writes to the reserved key stays",
          "[wire][meta][config_command]") {
  const bool is_configured = GENERATE(false, true);
  CAPTURE(is_configured);
  TestServer server([](Config& config) { config.cluster_admin = true; });
  Client client = server.Connect();
  if (is_configured) client.Send(ConfigSet(kValue)).Expect("STORED\r\n");
  const std::string key(kKey);
  for (const char* mode : {"", " MS", " ME", " MA", " MP", " MR", " MA N0"}) {
    CAPTURE(mode);
    client.Send("ms " + key + " 1" + mode + "\r\nx\r\n").Expect("NS\r\n").ExpectNothing();
  }
  const std::string large(300'000, 'x');
  client.Send("ms " + key + " 300000\r\n" + large + "\r\n").Expect("NS\r\n").ExpectNothing();
  client.Send("ms QW1hem9uRWxhc3RpQ2FjaGU6Y2x1c3Rlcg== 1 b\r\nx\r\n").Expect("NS\r\n");
  client.Send("ms " + key + " 1 C12\r\nx\r\n").Expect("NF\r\n");
  client.Send("ma " + key + "\r\nma " + key + " N0 J5\r\n").Expect("NF\r\nNF\r\n");
  client.Send("md " + key + "\r\nmd " + key + " I T30\r\nmd " + key + " x\r\n");
  client.Expect("NF\r\nNF\r\nNF\r\n").ExpectNothing();
  client.Send("mg " + key + " N30 v\r\n")
      .Expect(is_configured ? "VA 45\r\n" + std::string(kValue) + "\r\n" : "EN\r\n");
  client.Send("me " + key + "\r\n").Expect("EN\r\n").ExpectNothing();
  CHECK(client.Stat("curr_items") == 0);
}

// --- Binary --------------------------------------------------------------------------------------

class BinaryConfigTest : protected ConfigTest {
 protected:
  static Packet SetPacket(std::string value) {
    return {.opcode = kConfigSet, .extras = Big(0, 4), .key = "cluster", .value = value};
  }
  static Packet GetPacket() { return {.opcode = kConfigGet, .key = "cluster"}; }

  BinaryClient binary{server.Connect()};
};

TEST_CASE_METHOD(BinaryConfigTest, "binary config get answers the cluster's value",
                 "[wire][binary][config_command]") {
  binary.Send(GetPacket()).Expect(kConfigGet, kNotFound);
  binary.Send(SetPacket(std::string(kValue))).Expect({.opcode = kConfigSet});
  binary.Send(GetPacket());
  binary.Expect(HitReply(kConfigGet, std::string(kValue), 0, 12)).ExpectNothing();
  binary.Send({.opcode = kConfigGet, .key = "other"}).Expect(kConfigGet, kNotFound);
  client.Send("config get cluster\r\n").Expect(ConfigReply(kValue));
  CHECK(client.Stat("cmd_config_get") == 4);
  CHECK(client.Stat("cmd_config_set") == 1);
}

TEST_CASE_METHOD(BinaryConfigTest, "binary config set checks as that of text does",
                 "[wire][binary][config_command]") {
  const Packet without_flags{.opcode = kConfigSet, .key = "cluster", .value = "12\na:1"};
  binary.Send(without_flags).Expect({.opcode = kConfigSet});
  binary.Send(SetPacket("12\na:1\n")).Expect({.opcode = kConfigSet});  // It is that already.
  binary.Send(SetPacket("12\nb:1\n")).Expect(kConfigSet, kExists);
  binary.Send(SetPacket("13\nb\n")).Expect(kConfigSet, kInvalidArguments);
  binary.Send(SetPacket("")).Expect(kConfigSet, kInvalidArguments);
  Packet other = SetPacket("13\nb:1");
  other.key = "other";
  binary.Send(other).Expect(kConfigSet, kInvalidArguments);
  binary.Send(SetPacket(std::string(32 * 1024 + 1, 'x'))).Expect(kConfigSet, kValueTooLarge);
  binary.Send(GetPacket()).Expect(HitReply(kConfigGet, "12\na||1\n", 0, 12)).ExpectNothing();
}

TEST_CASE_METHOD(BinaryConfigTest, "binary config set takes its value in any pieces",
                 "[wire][binary][config_command]") {
  const std::string request = SetPacket(std::string(kValue)).Request();
  for (std::size_t at = 1; at < request.size(); at += 9) {
    CAPTURE(at);
    binary.client.SendInPieces(
        {std::string_view(request).substr(0, at), std::string_view(request).substr(at)});
    binary.Expect({.opcode = kConfigSet});
  }
  binary.ExpectNothing();
}

TEST_CASE_METHOD(BinaryConfigTest, "binary config delete leaves no cluster",
                 "[wire][binary][config_command]") {
  const Packet request{.opcode = kConfigDelete, .key = "cluster"};
  binary.Send(request).Expect(kConfigDelete, kNotFound);
  Configure();
  binary.Send({.opcode = kConfigDelete, .key = "other"}).Expect(kConfigDelete, kNotFound);
  binary.Send(request).Expect({.opcode = kConfigDelete});
  binary.Send(GetPacket()).Expect(kConfigGet, kNotFound).ExpectNothing();
}

TEST_CASE_METHOD(BinaryTest, "binary config set and delete need the server's leave, too",
                 "[wire][binary][config_command]") {
  client.Send({.opcode = kConfigSet, .key = "cluster", .value = "12\na:1"})
      .Expect(kConfigSet, kAuthFailure);
  client.Send({.opcode = kConfigDelete, .key = "cluster"}).Expect(kConfigDelete, kAuthFailure);
  client.Send({.opcode = kConfigGet, .key = "cluster"}).Expect(kConfigGet, kNotFound);
  client.ExpectNothing();
}

TEST_CASE("binary config packets of wrong lengths close the connection",
          "[wire][binary][config_command]") {
  const Packet packet = GENERATE(Packet{.opcode = kConfigGet}, Packet{.opcode = kConfigDelete},
                                 Packet{.opcode = kConfigSet, .value = "12\na:1"},
                                 Packet{.opcode = kConfigGet, .key = "cluster", .value = "x"},
                                 Packet{.opcode = kConfigGet, .extras = "four", .key = "cluster"},
                                 Packet{.opcode = kConfigSet, .extras = "e", .key = "cluster"});
  CAPTURE(int{packet.opcode}, packet.extras, packet.key, packet.value);
  TestServer server;
  BinaryClient client{server.Connect()};
  client.Send(packet).Expect(packet.opcode, kInvalidArguments);
  client.client.ExpectClosed();
}

TEST_CASE_METHOD(BinaryConfigTest, "the reserved key reads as the config in binary, too",
                 "[wire][binary][config_command]") {
  const std::string key(kKey);
  const std::string value(kValue);
  binary.Send({.opcode = kGet, .key = key}).Expect(kGet, kNotFound);
  Configure();
  binary.Send({.opcode = kGet, .key = key}).Expect(HitReply(kGet, value, 0, 12));
  binary.Send({.opcode = kGetKQ, .key = key}).Expect(HitReply(kGetKQ, value, 0, 12, key));
  binary.Send({.opcode = kGatK, .extras = Big(9, 4), .key = key});
  binary.Expect(HitReply(kGatK, value, 0, 12, key)).ExpectNothing();
}

TEST_CASE_METHOD(BinaryConfigTest, "nothing that a binary client writes to the reserved key stays",
                 "[wire][binary][config_command]") {
  Configure();
  const std::string key(kKey);
  binary.Send(StorePacket({.opcode = kSet, .key = key, .value = "x"})).Expect(kSet, kNotStored);
  binary.Send(StorePacket({.opcode = kSet, .key = key, .value = std::string(300'000, 'x')}))
      .Expect(kSet, kNotStored);
  binary.Send(StorePacket({.opcode = kSet, .key = key, .value = "x", .cas = 12}))
      .Expect(kSet, kNotFound);
  binary.Send(StorePacket({.opcode = kAdd, .key = key, .value = "x"})).Expect(kAdd, kNotStored);
  binary.Send(StorePacket({.opcode = kReplace, .key = key, .value = "x"}))
      .Expect(kReplace, kNotFound);
  binary.Send({.opcode = kAppend, .key = key, .value = "x"}).Expect(kAppend, kNotStored);
  binary.Send({.opcode = kDelete, .key = key}).Expect(kDelete, kNotFound);
  binary.Send({.opcode = kTouch, .extras = Big(9, 4), .key = key}).Expect(kTouch, kNotFound);
  binary.Send(ChangePacket({.key = key, .initial = 1, .exptime = 0})).Expect(kIncr, kNotFound);
  binary.Send({.opcode = kGet, .key = key}).Expect(HitReply(kGet, std::string(kValue), 0, 12));
  binary.ExpectNothing();
  CHECK(client.Stat("curr_items") == 0);
}

// --- Sources -------------------------------------------------------------------------------------

// The list that config get answers, without its version.
std::string NodesAt(Client& client) {
  client.Send("config get cluster\r\n");
  if (client.ReceiveLine() == "END\r\n") return "none";
  client.ReceiveUntil("\n");
  const std::string nodes = client.ReceiveUntil("\n");
  client.Expect("\r\nEND\r\n");
  return nodes.substr(0, nodes.size() - 1);
}

TEST_CASE("a cluster file is followed", "[wire][config_command]") {
  const TemporaryFolder folder;
  TestServer server([&](Config& config) { config.cluster_file = folder / "nodes"; });
  Client client = server.Connect();
  CHECK(NodesAt(client) == "none");
  CHECK(client.Stat("config_errors") == 1);
  WriteFile(folder / "nodes", "127.0.0.1:11211\n");
  server.AdvanceClock(3);  // Past the second of the change.
  CHECK(NodesAt(client) == "127.0.0.1|127.0.0.1|11211");
  WriteFile(folder / "nodes", "127.0.0.1:11211\nb.example:11211\n");
  server.AdvanceClock(3);
  CHECK(NodesAt(client) == "127.0.0.1|127.0.0.1|11211 b.example||11211");
  WriteFile(folder / "nodes", "127.0.0.1\n");
  server.AdvanceClock(3);
  CHECK(NodesAt(client) == "127.0.0.1|127.0.0.1|11211 b.example||11211");
  const auto stats = client.Stats();
  CHECK(stats.at("config_errors") == "2");
  CHECK(stats.at("curr_config") == "1");
  CHECK(client.Stats("settings").at("cluster_file") == folder / "nodes");
}

TEST_CASE("SIGHUP brings back a file's list", "[wire][config_command]") {
  const TemporaryFolder folder;
  WriteFile(folder / "nodes", "127.0.0.1:11211\n");
  TestServer server([&](Config& config) {
    config.cluster_admin = true;
    config.cluster_file = folder / "nodes";
  });
  Client client = server.Connect();
  CHECK(NodesAt(client) == "127.0.0.1|127.0.0.1|11211");  // From the start.
  client.Send("config delete cluster\r\n").Expect("DELETED\r\n");
  server.AdvanceClock(3);
  CHECK(NodesAt(client) == "none");
  server.Reload();
  CHECK(NodesAt(client) == "127.0.0.1|127.0.0.1|11211");
}

TEST_CASE("with authentication, config asks for it, too", "[wire][auth][config_command]") {
  const TemporaryFolder folder;
  WriteFile(folder / "users", "alice:secret\n");
  TestServer server([&](Config& config) {
    config.auth_file = folder / "users";
    config.protocol = server::BindingProtocol::kAscii;
    config.cluster_admin = true;
  });
  Client stranger = server.Connect();
  stranger.Send("config get cluster\r\n").Expect("CLIENT_ERROR unauthenticated\r\n");
  stranger.Send("config delete cluster\r\n").Expect("CLIENT_ERROR unauthenticated\r\n");
  stranger.Send("get AmazonElastiCache:cluster\r\n").Expect("CLIENT_ERROR unauthenticated\r\n");
  Client client = server.Connect();
  client.Send(SetRequest("auth", "alice secret")).Expect("STORED\r\n");
  client.Send(ConfigSet(kValue)).Expect("STORED\r\n");
  client.Send("config get cluster\r\n").Expect(ConfigReply(kValue)).ExpectNothing();
}

TEST_CASE("a state file bridges a restart without a list", "[wire][config_command]") {
  const TemporaryFolder folder;
  const auto configure = [&](Config& config) {
    config.cluster_admin = true;
    config.cluster_state = folder / "state";
  };
  {
    TestServer server(configure);
    server.Connect().Send(ConfigSet(kValue)).Expect("STORED\r\n");
  }
  TestServer server(configure);
  Client client = server.Connect();
  client.Send("config get cluster\r\n").Expect(ConfigReply(kValue));
  client.Send(ConfigSet("12\nother:1\n")).Expect(kOldVersion).ExpectNothing();
}

TEST_CASE("a DNS name's addresses are the nodes", "[wire][config_command]") {
  TestServer server([](Config& config) {
    config.cluster_dns_host = "127.0.0.1";
    config.cluster_dns_port = 11211;
    config.cluster_dns_interval_s = 1;
  });
  Client client = server.Connect();
  // The lookup has a thread of its own; there are seconds enough for it.
  std::string nodes = "none";
  for (int tries = 0; tries < 10'000 && nodes == "none"; ++tries) {
    server.AdvanceClock(1);
    nodes = NodesAt(client);
  }
  CHECK(nodes == "127.0.0.1|127.0.0.1|11211");
}

}  // namespace
}  // namespace larder::wire
