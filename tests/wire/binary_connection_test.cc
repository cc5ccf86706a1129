#include <algorithm>
#include <ctime>
#include <map>
#include <random>

#include "protocol/binary/opcodes.h"
#include "tests/wire/binary_fixture.h"

namespace larder::wire {
namespace {

// What Stat answers, by name; it must end with an empty packet.
std::map<std::string, std::string> StatsOf(BinaryClient& client, const std::string& group) {
  client.Send({.opcode = kStat, .key = group});
  std::map<std::string, std::string> rows;
  for (;;) {
    const Packet row = client.Receive();
    REQUIRE(row.opcode == kStat);
    REQUIRE(row.status == 0);
    REQUIRE(row.extras.empty());
    REQUIRE(row.opaque == Packet{}.opaque);
    if (row.key.empty()) {
      REQUIRE(row.value.empty());
      return rows;
    }
    REQUIRE(rows.emplace(row.key, row.value).second);
  }
}

std::vector<std::string> NamesOf(const std::map<std::string, std::string>& rows) {
  std::vector<std::string> names;
  for (const auto& [name, value] : rows) names.push_back(name);
  return names;
}

TEST_CASE_METHOD(BinaryTest, "no-op, version and quit", "[wire][binary][admin]") {
  client.Send({.opcode = kNoop, .cas = 99}).Expect({.opcode = kNoop});
  CHECK(client.Ask({.opcode = kVersion}).value.starts_with("1.6.45"));
  client.SendAll({{.opcode = kQuit}, {.opcode = kVersion}}).Expect({.opcode = kQuit});
  client.client.ExpectClosed();
}

TEST_CASE_METHOD(BinaryTest, "a quiet quit sends what was asked for before, and nothing else",
                 "[wire][binary][admin]") {
  client.SendAll({{.opcode = kGet, .key = "no"}, {.opcode = kQuitQ}, {.opcode = kNoop}});
  client.Expect(kGet, kNotFound).client.ExpectClosed();
}

TEST_CASE_METHOD(BinaryTest, "binary flush removes all that is there", "[wire][binary][flush]") {
  const std::string extras = GENERATE(std::string(), std::string(4, '\0'));
  client.Set("a", "1");
  client.Send({.opcode = kFlush, .extras = extras}).Expect({.opcode = kFlush});
  client.Send({.opcode = kGet, .key = "a"}).Expect(kGet, kNotFound);
  client.Set("a", "1");
  server.AdvanceClock(2);
  CHECK(client.ValueOf("a") == "1");
  client.Send({.opcode = kFlushQ, .extras = extras}).ExpectNothing();
  client.Send({.opcode = kGet, .key = "a"}).Expect(kGet, kNotFound);
  CHECK(text.Stat("cmd_flush") == 2);
}

TEST_CASE_METHOD(BinaryTest, "binary flush may be delayed", "[wire][binary][flush]") {
  client.Set("a", "1");
  client.Send({.opcode = kFlush, .extras = Big(100, 4)}).Expect({.opcode = kFlush});
  server.AdvanceClock(97);
  client.Set("b", "2");
  CHECK(client.ValueOf("a") == "1");
  server.AdvanceClock(3);
  client.Send({.opcode = kGet, .key = "a"}).Expect(kGet, kNotFound);
  client.Send({.opcode = kGet, .key = "b"}).Expect(kGet, kNotFound);
}

TEST_CASE_METHOD(BinaryTest, "a binary flush at a time before the start does nothing",
                 "[wire][binary][flush]") {
  client.Set("a", "1");
  client.Send({.opcode = kFlush, .extras = Big(2592001, 4)}).Expect({.opcode = kFlush});
  server.AdvanceClock(10);
  CHECK(client.ValueOf("a") == "1");
}

TEST_CASE_METHOD(BinaryTest, "a binary flush at a time in the minute before the start flushes",
                 "[wire][binary][flush]") {
  const auto now_s = static_cast<std::uint32_t>(std::time(nullptr));
  client.Set("a", "1");
  client.Send({.opcode = kFlush, .extras = Big(now_s - 90, 4)}).Expect({.opcode = kFlush});
  CHECK(client.ValueOf("a") == "1");
  client.Send({.opcode = kFlush, .extras = Big(now_s - 30, 4)}).Expect({.opcode = kFlush});
  client.Send({.opcode = kGet, .key = "a"}).Expect(kGet, kNotFound);
}

TEST_CASE("with -F a binary flush is refused, and the connection goes on",
          "[wire][binary][flush]") {
  TestServer server([](Config& config) { config.flush_enabled = false; });
  BinaryClient client(server.Connect());
  client.Set("a", "1");
  client.Send({.opcode = kFlush}).Expect(kFlush, kAuthFailure);
  client.Send({.opcode = kFlushQ, .extras = Big(5, 4)}).Expect(kFlushQ, kAuthFailure);
  CHECK(client.ValueOf("a") == "1");
  CHECK(StatsOf(client, "").at("cmd_flush") == "0");
}

TEST_CASE_METHOD(BinaryTest, "binary stat answers the groups of text", "[wire][binary][stats]") {
  client.Set("a", "1");
  for (const std::string group : {"", "settings", "items", "slabs", "sizes"}) {
    CAPTURE(group);
    const auto rows = StatsOf(client, group);
    CHECK(!rows.empty());
    CHECK(NamesOf(rows) == NamesOf(text.Stats(group)));
  }
  CHECK(StatsOf(client, "settingsXYZ") == StatsOf(client, "settings"));
  CHECK(StatsOf(client, "settings").at("binding_protocol") == "auto-negotiate");
  CHECK(StatsOf(client, "").at("cmd_set") == "1");
  CHECK(StatsOf(client, "reset").empty());
  CHECK(StatsOf(client, "").at("cmd_set") == "0");
}

TEST_CASE_METHOD(BinaryTest, "binary stat lists the rows of text in the order of text",
                 "[wire][binary][stats]") {
  client.Set("a", "1");
  for (const std::string group : {"", "settings", "items", "slabs", "sizes", "memory"}) {
    CAPTURE(group);
    std::vector<std::string> names;
    text.Send("stats " + group + "\r\n");
    for (std::string row = text.ReceiveLine(); row != "END\r\n"; row = text.ReceiveLine()) {
      names.push_back(row.substr(5, row.find(' ', 5) - 5));
    }
    CHECK_FALSE(names.empty());
    client.Send({.opcode = kStat, .key = group});
    for (const std::string& name : names) CHECK(client.Receive().key == name);
    CHECK(client.Receive().key.empty());
  }
}

TEST_CASE_METHOD(BinaryTest, "binary stat knows no abbreviation and no dump of connections or keys",
                 "[wire][binary][stats]") {
  for (const char* group : {"setting", "conns", "cachedump 1 1", "extstore", "itemsX", "detail",
                            "detail foo", "detaildump", "x"}) {
    CAPTURE(group);
    client.Send({.opcode = kStat, .key = group}).Expect(kStat, kNotFound);
  }
  client.ExpectNothing();
}

TEST_CASE_METHOD(BinaryTest, "binary stat detail dumps what it counted", "[wire][binary][stats]") {
  CHECK(StatsOf(client, "detail on").empty());
  client.Set("p:a", "1");
  client.ValueOf("p:a");
  client.Ask({.opcode = kDelete, .key = "p:a"});
  const std::map<std::string, std::string> expected{
      {"detailed", "PREFIX p get 1 hit 1 set 1 del 1\r\nEND\r\n"}};
  CHECK(StatsOf(client, "detail dump") == expected);
  CHECK(StatsOf(client, "detail off").empty());
  CHECK(text.Stats("settings").at("detail_enabled") == "no");
}

TEST_CASE_METHOD(BinaryTest, "binary touch counts as a get of its prefix",
                 "[wire][binary][stats]") {
  CHECK(StatsOf(client, "detail on").empty());
  client.Set("p:a", "1");
  client.Ask({.opcode = kTouch, .extras = Big(0, 4), .key = "p:a"});
  client.Ask({.opcode = kTouch, .extras = Big(0, 4), .key = "p:b"});
  text.Send("touch p:a 0\r\n").Expect("TOUCHED\r\n");
  text.Send("stats detail dump\r\n").Expect("PREFIX p get 2 hit 1 set 1 del 0\r\nEND\r\n");
}

TEST_CASE_METHOD(BinaryTest, "lists for text clients leave out what no line can hold",
                 "[wire][binary][stats]") {
  text.Send("stats detail on\r\n").Expect("OK\r\n");
  client.Set("a\r\nEND\r\n:b", "1");
  client.Set("a b", "1");
  text.Send("stats detail dump\r\n").Expect("END\r\n");
  for (int id = 1; id < 10; ++id) {
    text.Send("stats cachedump " + std::to_string(id) + " 0\r\n").Expect("END\r\n");
  }
}

TEST_CASE("with -X binary stat has no detail", "[wire][binary][stats]") {
  TestServer server([](Config& config) { config.dump_enabled = false; });
  BinaryClient client(server.Connect());
  client.Send({.opcode = kStat, .key = "detail dump"}).Expect(kStat, kNotFound);
}

TEST_CASE_METHOD(BinaryTest, "SASL is unknown without authentication", "[wire][binary][sasl]") {
  client.Send({.opcode = kSaslList}).Expect(kSaslList, kUnknownCommand);
  for (const auto opcode : {kSaslAuth, kSaslStep}) {
    for (const std::size_t bytes : {0U, 10U, 16384U, 16385U, 1000000U}) {
      CAPTURE(bytes);
      client.Send({.opcode = opcode, .key = "PLAIN", .value = std::string(bytes, 'x')});
      client.Expect(opcode, kUnknownCommand);
    }
  }
  client.ExpectNothing();
  client.Send({.opcode = kSaslAuth, .value = "x"}).Expect(kSaslAuth, kInvalidArguments);
  client.client.ExpectClosed();
}

TEST_CASE_METHOD(BinaryTest, "an unknown opcode is answered at once, and its body swallowed",
                 "[wire][binary][bad_packet]") {
  for (const std::size_t bytes : {0U, 7U, 100000U, 3000000U}) {
    for (const int opcode : {0x1b, 0x1f, 0x25, 0x30, 0x40, 0xff}) {
      CAPTURE(bytes, opcode);
      Packet packet{.opcode = static_cast<std::uint8_t>(opcode),
                    .value = std::string(bytes, '\x80')};
      client.Send(packet).Expect(packet.opcode, kUnknownCommand);
      packet.extras = "1234";
      packet.key = "key";
      client.Send(packet).Expect(packet.opcode, kUnknownCommand).ExpectNothing();
    }
  }
}

TEST_CASE_METHOD(BinaryTest, "a packet with wrong lengths is answered, and the connection closes",
                 "[wire][binary][bad_packet]") {
  const std::vector<Packet> packets = {
      {.opcode = kGet},
      {.opcode = kGetQ, .key = "k", .value = "v"},
      {.opcode = kGet, .extras = "1234", .key = "k"},
      {.opcode = kSet, .key = "k", .value = "v"},
      {.opcode = kSetQ, .extras = "1234", .key = "k", .value = "v"},
      {.opcode = kAppend, .extras = "1234", .key = "k", .value = "v"},
      {.opcode = kTouch, .key = "k"},
      {.opcode = kTouch, .extras = "1234", .key = "k", .value = Packet{.opcode = kNoop}.Request()},
      {.opcode = kGatKQ, .extras = "1234", .key = "k", .value = Packet{.opcode = kNoop}.Request()},
      {.opcode = kStat, .key = "items", .value = Packet{.opcode = kNoop}.Request()},
      {.opcode = kStat, .extras = "1234"},
      {.opcode = kIncr, .extras = std::string(8, '\0'), .key = "k"},
      {.opcode = kFlush, .extras = std::string(8, '\0')},
      {.opcode = kNoop, .value = "abc"},
      {.opcode = kQuitQ, .key = "k"},
      {.opcode = kVersion, .key = "k"},
      {.opcode = kGetQ, .key = std::string(251, 'k')},
      {.opcode = 0x77, .key = std::string(251, 'k')},
      {.opcode = kSet, .extras = std::string(8, '\0'), .key = "k", .body_bytes = 0x40000001},
      {.opcode = kSet, .extras = std::string(8, '\0'), .key = "k", .body_bytes = 0xffffffff},
  };
  for (const Packet& packet : packets) {
    CAPTURE(packet.opcode);
    BinaryClient other(server.Connect());
    other.SendAll({{.opcode = kGet, .key = "no"}, packet, {.opcode = kNoop}});
    other.Expect(kGet, kNotFound).Expect(packet.opcode, kInvalidArguments).client.ExpectClosed();
  }
  for (const Packet& packet : {Packet{.opcode = kGet, .key_bytes = 5, .body_bytes = 1},
                               Packet{.opcode = kSetQ, .extras_bytes = 8, .body_bytes = 7},
                               Packet{.opcode = 0x77, .key_bytes = 65535, .body_bytes = 65534}}) {
    BinaryClient other(server.Connect());
    other.SendAll({{.opcode = kGet, .key = "no"}, packet});
    other.Expect(kGet, kNotFound).Expect(packet.opcode, kUnknownCommand).client.ExpectClosed();
  }
}

TEST_CASE_METHOD(BinaryTest, "what begins no packet closes, after the replies to what came before",
                 "[wire][binary][bad_packet]") {
  client.client.Send(Packet{.opcode = kGet, .key = "no"}.Request() + std::string(24, '\xff'));
  client.Expect(kGet, kNotFound).client.ExpectClosed();
  BinaryClient other(server.Connect());
  other.Send({.opcode = kNoop}).Expect({.opcode = kNoop});
  other.client.Send(Packet{.opcode = kNoop}.Reply()).ExpectClosed();
}

TEST_CASE_METHOD(BinaryTest, "the first byte decides for good", "[wire][binary][negotiation]") {
  client.Set("a", "1");
  text.Send("get a\r\n").Expect(ValueReply("a", "1") + "END\r\n");
  text.Send(Packet{.opcode = kNoop}.Request() + "\r\n");
  text.ExpectMatch("(CLIENT_ERROR [^\\r]*\\r\\n|ERROR\\r\\n)+");
  client.client.Send("get a\r\nget a\r\nget a\r\nget a\r\n").ExpectClosed();
  // A reply's magic begins text.
  server.Connect().Send(Packet{.opcode = kNoop}.Reply()).Expect(kBadLine);
}

TEST_CASE("-B binary speaks nothing else", "[wire][binary][negotiation]") {
  TestServer server(
      [](Config& config) { config.protocol = larder::server::BindingProtocol::kBinary; });
  // The fixture's own probes speak text.
  BinaryClient client(server.Connect());
  client.Set("a", "1");
  CHECK(StatsOf(client, "settings").at("binding_protocol") == "binary");
  // At the first byte that begins no packet, however few came.
  for (const char* line : {"get a\r\nget a\r\nget a\r\nget a\r\n", "get a\r\n", "v", "\x81"}) {
    CAPTURE(line);
    server.Connect().Send(line).ExpectClosed();
  }
  CHECK(client.ValueOf("a") == "1");
}

TEST_CASE("-B ascii takes packets for text", "[wire][binary][negotiation]") {
  TestServer server(
      [](Config& config) { config.protocol = larder::server::BindingProtocol::kAscii; });
  Client client = server.Connect();
  client.Send(Packet{.opcode = kVersion}.Request() + "\r\n").Expect("ERROR\r\n").ExpectNothing();
}

TEST_CASE_METHOD(BinaryTest, "a binary client that has finished sending gets its answers",
                 "[wire][binary][connection]") {
  client.SendAll({{.opcode = kGet, .key = "no"}, {.opcode = kNoop}}).client.FinishSending();
  client.Expect(kGet, kNotFound).Expect({.opcode = kNoop}).client.ExpectClosed();
}

TEST_CASE_METHOD(BinaryTest, "text and binary clients work on the same items at the same time",
                 "[wire][binary][connection]") {
  for (std::uint32_t i = 0; i < 300; ++i) {
    const std::string value = PatternBytes(i * 37 % 20000, i);
    text.Send(SetRequest("t", value, i)).Expect("STORED\r\n");
    const Packet got = client.Ask({.opcode = kGetK, .key = "t"});
    CHECK((got.value == value));
    CHECK(got.extras == Big(i, 4));
    client.Set("b", value, i);
    text.Send("get b\r\n").Expect(ValueReply("b", value, i) + "END\r\n");
  }
}

// --- Streams ------------------------------------------------------------------------------------

Packet RandomPacket(std::mt19937& random) {
  const protocol::OpcodeSpec& spec = protocol::kOpcodes[random() % protocol::kOpcodes.size()];
  Packet packet{.opcode = spec.opcode, .opaque = Big(random(), 4)};
  // Quit would end the stream; what stat answers changes by itself.
  if (spec.opcode == kQuit || spec.opcode == kQuitQ || spec.opcode == kStat) packet.opcode = kNoop;
  if (packet.opcode == kNoop) return packet;
  if (spec.extras == protocol::PacketPart::kRequired) {
    packet.extras = std::string(spec.extras_bytes - 1U, '\0') + Big(random() % 2 * 100, 1);
  }
  if (spec.key != protocol::PacketPart::kForbidden) packet.key = Big(random() % 8, 1);
  if (spec.value != protocol::PacketPart::kForbidden) {
    packet.value = random() % 2 == 0
                       ? std::to_string(random() % 1000)
                       : PatternBytes(random() % 20 == 0 ? 90000 : random() % 300, random());
  }
  // A CAS that no item has: those they have depend on what else the server has done.
  if (random() % 10 == 0) packet.cas = 1;
  return packet;
}

// All replies to a stream, sent in pieces, with their CAS numbers left out.
std::vector<std::string> RepliesTo(const std::string& stream, std::mt19937* cuts) {
  TestServer server([](Config& config) { config.threads = 1; });
  BinaryClient client(server.Connect());
  if (cuts == nullptr) {
    client.client.Send(stream);
  } else {
    for (std::string_view rest = stream; !rest.empty();) {
      const std::size_t bytes = std::min<std::size_t>(1 + (*cuts)() % 5000, rest.size());
      client.client.SendInPieces({rest.substr(0, bytes)});
      rest.remove_prefix(bytes);
    }
  }
  client.Send({.opcode = kVersion, .opaque = "last"});
  std::vector<std::string> replies;
  do {
    Packet reply = client.Receive();
    reply.cas = reply.cas != 0 ? 1 : 0;
    replies.push_back(reply.Reply());
  } while (replies.back().substr(12, 4) != "last");
  return replies;
}

TEST_CASE("a binary stream is answered alike however it is split", "[wire][binary][property]") {
  const auto seed = GENERATE(range(0u, 6u));
  CAPTURE(seed);
  std::mt19937 random(seed);
  std::string stream;
  for (int i = 0; i < 600; ++i) stream += RandomPacket(random).Request();
  const auto whole = RepliesTo(stream, nullptr);
  CHECK(whole.size() > 100);
  CHECK((whole == RepliesTo(stream, &random)));
}

}  // namespace
}  // namespace larder::wire
