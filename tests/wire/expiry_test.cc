#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

constexpr std::int64_t kThirtyDays = 60 * 60 * 24 * 30;

TEST_CASE_METHOD(WireTest, "an item is gone when its seconds are over", "[wire][expiry]") {
  client.Send("set a 0 100 1\r\nx\r\n").Expect("STORED\r\n");
  server.AdvanceClock(97);
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
  server.AdvanceClock(3);
  client.Send("get a\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "a negative exptime stores what is never seen", "[wire][expiry]") {
  client.Send(SetRequest("a", "old")).Expect("STORED\r\n");
  client.Send("set a 0 -1 1\r\nx\r\n").Expect("STORED\r\n");
  client.Send("get a\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "30 days are seconds from now", "[wire][expiry]") {
  client.Send(StorageRequest({.key = "a", .value = "x", .exptime = kThirtyDays}));
  client.Expect("STORED\r\n");
  server.AdvanceClock(kThirtyDays - 3);
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
  server.AdvanceClock(3);
  client.Send("get a\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "more than 30 days is Unix time, and long past", "[wire][expiry]") {
  client.Send(StorageRequest({.key = "a", .value = "x", .exptime = kThirtyDays + 1}));
  client.Expect("STORED\r\n");
  client.Send("get a\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "an exptime may be a Unix time to come", "[wire][expiry]") {
  const auto now_s = static_cast<std::int64_t>(client.Stat("time"));
  client.Send(StorageRequest({.key = "a", .value = "x", .exptime = now_s + 100}));
  client.Expect("STORED\r\n");
  server.AdvanceClock(97);
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
  server.AdvanceClock(3);
  client.Send("get a\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "the latest Unix time that fits is to come", "[wire][expiry]") {
  client.Send("set a 0 2147483647 1\r\nx\r\n").Expect("STORED\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "an exptime wraps at 32 bits", "[wire][expiry]") {
  client.Send("set a 0 2147483648 1\r\nx\r\n").Expect("STORED\r\n");
  client.Send("get a\r\n").Expect("END\r\n");
  client.Send("set a 0 4294967396 1\r\nx\r\n").Expect("STORED\r\n");  // 2^32 + 100
  server.AdvanceClock(97);
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
  server.AdvanceClock(3);
  client.Send("get a\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "a value that comes slowly expires from when its line came",
                 "[wire][expiry]") {
  client.Send("set a 0 100 3\r\nx").ExpectSilence();
  client.Send("yz\r\n").Expect("STORED\r\n");
  server.AdvanceClock(100);
  client.Send("get a\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "what expired makes no trouble for what takes its place",
                 "[wire][expiry]") {
  const std::string large = PatternBytes(200000, 1);
  client.Send(StorageRequest({.key = "a", .value = large, .exptime = 10})).Expect("STORED\r\n");
  server.AdvanceClock(10);
  client.Send("add a 0 0 1\r\nx\r\n").Expect("STORED\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
  CHECK(client.Stat("curr_items") == 1);
}

}  // namespace
}  // namespace larder::wire
