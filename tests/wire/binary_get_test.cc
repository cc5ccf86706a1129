#include "server/reply/output.h"
#include "tests/wire/binary_fixture.h"

namespace larder::wire {
namespace {

TEST_CASE_METHOD(BinaryTest, "binary get answers flags, value and CAS", "[wire][binary][get]") {
  const std::uint64_t cas = client.Set("a", "hello", 0xdeadbeef);
  client.Send({.opcode = kGet, .key = "a"}).Expect(HitReply(kGet, "hello", 0xdeadbeef, cas));
  client.Send({.opcode = kGetQ, .key = "a"}).Expect(HitReply(kGetQ, "hello", 0xdeadbeef, cas));
  client.Send({.opcode = kGetK, .key = "a"}).Expect(HitReply(kGetK, "hello", 0xdeadbeef, cas, "a"));
  client.Send({.opcode = kGetKQ, .key = "a"});
  client.Expect(HitReply(kGetKQ, "hello", 0xdeadbeef, cas, "a")).ExpectNothing();
}

TEST_CASE_METHOD(BinaryTest, "a binary get that misses says so, with the key if it is asked for",
                 "[wire][binary][get]") {
  client.Send({.opcode = kGet, .key = "no"}).Expect(kGet, kNotFound);
  client.Send({.opcode = kGetK, .key = "no"});
  client.Expect({.opcode = kGetK, .key = "no", .status = 1}).ExpectNothing();
}

TEST_CASE_METHOD(BinaryTest, "a quiet binary get that misses is silent", "[wire][binary][get]") {
  client.SendAll({{.opcode = kGetQ, .key = "no"}, {.opcode = kGetKQ, .key = "no"}}).ExpectNothing();
}

TEST_CASE_METHOD(BinaryTest, "a CAS in a binary get does not count", "[wire][binary][get]") {
  const std::uint64_t cas = client.Set("a", "x");
  client.Send({.opcode = kGet, .key = "a", .cas = cas + 1}).Expect(HitReply(kGet, "x", 0, cas));
}

TEST_CASE_METHOD(BinaryTest, "binary keys and values may hold any bytes", "[wire][binary][get]") {
  std::string bytes;
  for (int i = 0; i < 250; ++i) bytes += static_cast<char>(i);
  const std::uint64_t cas = client.Set(bytes, bytes + "\r\n");
  client.Send({.opcode = kGetK, .key = bytes});
  client.Expect(HitReply(kGetK, bytes + "\r\n", 0, cas, bytes)).ExpectNothing();
}

TEST_CASE_METHOD(BinaryTest, "a pipeline of quiet gets answers hits only, in order",
                 "[wire][binary][get]") {
  const auto loud = GENERATE(kNoop, kGetK);
  std::vector<Packet> requests;
  std::string replies;
  for (std::uint32_t i = 0; i < 500; ++i) {
    const std::string key = "key" + std::to_string(i);
    const std::string value(i, 'v');
    const std::string opaque = Big(i, 4);
    if (i % 3 != 0) {
      const std::uint64_t cas = client.Set(key, value, i);
      Packet reply = HitReply(kGetKQ, value, i, cas, key);
      reply.opaque = opaque;
      replies += reply.Reply();
    }
    requests.push_back({.opcode = kGetKQ, .key = key, .opaque = opaque});
  }
  requests.push_back({.opcode = loud, .key = loud == kGetK ? "no" : ""});
  replies += Packet{.opcode = loud,
                    .key = loud == kGetK ? "no" : "",
                    .status = static_cast<std::uint16_t>(loud == kGetK ? 1 : 0)}
                 .Reply();
  client.SendAll(requests).client.Expect(replies);
  client.ExpectNothing();
  CHECK(text.Stat("get_hits") == 333);
  CHECK(text.Stat("get_misses") == (loud == kGetK ? 168 : 167));
}

TEST_CASE_METHOD(BinaryTest, "a binary hit needs no request behind it to be answered",
                 "[wire][binary][get]") {
  const std::uint64_t cas = client.Set("a", "x");
  client.Send({.opcode = kGetQ, .key = "a"}).Expect(HitReply(kGetQ, "x", 0, cas));
}

TEST_CASE_METHOD(BinaryTest, "touch answers the flags, keeps the CAS and sets the expiry",
                 "[wire][binary][touch]") {
  const std::uint64_t cas = client.Set("a", "x", 7);
  client.Send({.opcode = kTouch, .extras = Big(100, 4), .key = "a"});
  client.Expect(HitReply(kTouch, "", 7, cas));
  CHECK(client.CasOf("a") == cas);
  server.AdvanceClock(100);
  client.Send({.opcode = kGet, .key = "a"}).Expect(kGet, kNotFound);
  client.Send({.opcode = kTouch, .extras = Big(0, 4), .key = "a"}).Expect(kTouch, kNotFound);
  client.ExpectNothing();
  CHECK(text.Stat("cmd_touch") == 2);
  CHECK(text.Stat("touch_hits") == 1);
  CHECK(text.Stat("touch_misses") == 1);
}

TEST_CASE_METHOD(BinaryTest, "gat reads and sets the expiry, in all its forms",
                 "[wire][binary][touch]") {
  for (const auto opcode : {kGat, kGatQ, kGatK, kGatKQ}) {
    CAPTURE(int{opcode});
    const bool with_key = opcode == kGatK || opcode == kGatKQ;
    const std::uint64_t cas = client.Set("a", "x", 7);
    client.Send({.opcode = opcode, .extras = Big(100, 4), .key = "a"});
    client.Expect(HitReply(opcode, "x", 7, cas, with_key ? "a" : ""));
    server.AdvanceClock(99);
    CHECK(client.ValueOf("a") == "x");
    // None: it stays for good.
    client.Send({.opcode = opcode, .extras = Big(0, 4), .key = "a"});
    client.Expect(HitReply(opcode, "x", 7, cas, with_key ? "a" : ""));
    server.AdvanceClock(100000);
    CHECK(client.ValueOf("a") == "x");
  }
  client.Send({.opcode = kGat, .extras = Big(0, 4), .key = "no"}).Expect(kGat, kNotFound);
  client.Send({.opcode = kGatK, .extras = Big(0, 4), .key = "no"});
  client.Expect({.opcode = kGatK, .key = "no", .status = 1});
  client.Send({.opcode = kGatQ, .extras = Big(0, 4), .key = "no"});
  client.Send({.opcode = kGatKQ, .extras = Big(0, 4), .key = "no"}).ExpectNothing();
  CHECK(text.Stat("cmd_touch") == 12);
  CHECK(text.Stat("touch_misses") == 4);
  CHECK(text.Stat("cmd_get") == 8);
}

TEST_CASE_METHOD(BinaryTest, "an exptime has no sign", "[wire][binary][expiry]") {
  client.Ask(StorePacket({.key = "a", .value = "x", .exptime = 0xffffffff}));
  CHECK(client.ValueOf("a") == "x");
  client.Ask({.opcode = kTouch, .extras = Big(0x80000000, 4), .key = "a"});
  CHECK(client.ValueOf("a") == "x");
  const auto now_s = static_cast<std::uint32_t>(text.Stat("time"));
  client.Ask({.opcode = kTouch, .extras = Big(now_s + 10, 4), .key = "a"});
  server.AdvanceClock(9);
  CHECK(client.ValueOf("a") == "x");
  server.AdvanceClock(1);
  client.Send({.opcode = kGet, .key = "a"}).Expect(kGet, kNotFound);
  client.Ask(StorePacket({.key = "a", .value = "x", .exptime = 2592001}));
  client.Send({.opcode = kGet, .key = "a"}).Expect(kGet, kNotFound);
}

TEST_CASE("with -C a binary CAS is 0, and none fits", "[wire][binary][cas]") {
  TestServer server([](Config& config) { config.use_cas = false; });
  BinaryClient client(server.Connect());
  CHECK(client.Ask(StorePacket({.key = "a", .value = "1"})).cas == 0);
  client.Send({.opcode = kGet, .key = "a"}).Expect(HitReply(kGet, "1", 0, 0));
  client.Send(StorePacket({.key = "a", .value = "2", .cas = 5})).Expect({.opcode = kSet});
  CHECK(client.ValueOf("a") == "2");
  client.Send(StorePacket({.opcode = kAdd, .key = "b", .value = "2", .cas = 5}));
  client.Expect({.opcode = kAdd});
  client.Send({.opcode = kDelete, .key = "a", .cas = 5}).Expect(kDelete, kExists);
  client.Send({.opcode = kDelete, .key = "no", .cas = 5}).Expect(kDelete, kNotFound);
  client.Send(ChangePacket({.key = "a", .cas = 5})).Expect(kIncr, kExists);
  client.Send(ChangePacket({.key = "a"})).Expect({.opcode = kIncr, .value = Big(3, 8)});
}

TEST_CASE_METHOD(BinaryTest, "binary values of every size around a limit come back as they were",
                 "[wire][binary][large_value]") {
  std::vector<std::size_t> sizes;
  for (std::size_t at = 0; at < 60; ++at) sizes.push_back(server::kPinBytesMin - 30 + at);
  for (std::size_t at = 0; at < 60; ++at) sizes.push_back((std::size_t{64} << 10) - 50 + at);
  for (std::size_t at = 0; at < 20; ++at) sizes.push_back(slab::kPageBytes / 2 - 50 + 5 * at);
  sizes.push_back(1000000);
  for (const std::size_t bytes : sizes) {
    CAPTURE(bytes);
    const std::string value = PatternBytes(bytes, bytes);
    const std::uint64_t cas = client.Set("a", value, 3);
    client.Send({.opcode = kGetK, .key = "a"}).Expect(HitReply(kGetK, value, 3, cas, "a"));
  }
  client.ExpectNothing();
}

TEST_CASE_METHOD(BinaryTest, "one large binary value asked for hundreds of times at once",
                 "[wire][binary][large_value]") {
  // More often than it can be pinned.
  const std::string value = PatternBytes(20000, 1);
  const std::uint64_t cas = client.Set("a", value);
  std::string replies;
  for (int i = 0; i < 600; ++i) replies += HitReply(kGetQ, value, 0, cas).Reply();
  client.SendAll(std::vector<Packet>(600, {.opcode = kGetQ, .key = "a"})).client.Expect(replies);
  client.ExpectNothing();
}

TEST_CASE_METHOD(BinaryTest, "a binary client that reads late gets every byte in order",
                 "[wire][binary][slow_reader]") {
  std::string requests;
  std::string replies;
  for (std::uint32_t i = 0; i < 2000; ++i) {
    const std::string key = "k" + std::to_string(i);
    const std::string value = PatternBytes(i % 100 == 0 ? 100000 : i % 2000, i);
    const Packet set = StorePacket({.opcode = kSetQ, .key = key, .value = value, .flags = i});
    // With a CAS that nobody can know, the replies could not be told in advance.
    requests +=
        set.Request() + Packet{.opcode = kGatKQ, .extras = Big(0, 4), .key = "no"}.Request();
    requests += Packet{.opcode = kGet, .key = "no"}.Request();
    requests += Packet{.opcode = 0x77, .value = value}.Request();
    replies += ErrorReply(kGet, kNotFound).Reply() + ErrorReply(0x77, kUnknownCommand).Reply();
  }
  BinaryClient slow(server.ConnectSlow());
  const std::size_t taken = slow.client.SendWithoutReading(requests);
  slow.client.Send(std::string_view(requests).substr(taken)).Expect(replies);
  slow.ExpectNothing();
  CHECK(client.ValueOf("k1999") == PatternBytes(1999, 1999));
}

TEST_CASE_METHOD(BinaryTest, "large binary values wait for a client that does not read",
                 "[wire][binary][slow_reader]") {
  const std::string value = PatternBytes(1000000, 1);
  const std::uint64_t cas = client.Set("big", value);
  BinaryClient slow(server.ConnectSlow());
  std::string requests;
  for (int i = 0; i < 15; ++i) requests += Packet{.opcode = kGetQ, .key = "big"}.Request();
  // The beginning of a value is at hand when replies are stuck.
  const std::string set = StorePacket({.key = "a", .value = PatternBytes(200000, 2)}).Request();
  slow.client.SendWithoutReading(requests + set.substr(0, 30000));
  server.Settle();
  slow.client.Send(std::string_view(set).substr(30000));
  for (int i = 0; i < 15; ++i) slow.Expect(HitReply(kGetQ, value, 0, cas));
  CHECK(slow.Receive().status == 0);
  slow.ExpectNothing();
  CHECK(client.ValueOf("a") == PatternBytes(200000, 2));
}

}  // namespace
}  // namespace larder::wire
