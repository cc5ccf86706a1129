#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

TEST_CASE_METHOD(WireTest, "flush_all removes all that is there", "[wire][flush_all]") {
  Client other = server.Connect();
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  other.Send(SetRequest("b", "y")).Expect("STORED\r\n");
  client.Send("flush_all\r\n").Expect("OK\r\n");
  client.Send("get a b\r\n").Expect("END\r\n");
  other.Send("get a b\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "what is stored right after flush_all stays", "[wire][flush_all]") {
  Client other = server.Connect();
  for (int round = 0; round < 20; ++round) {
    client.Send(SetRequest("a", "x") + "flush_all\r\n" + SetRequest("a", "y"));
    client.Expect("STORED\r\nOK\r\nSTORED\r\n");
    other.Send(SetRequest("b", "z")).Expect("STORED\r\n");
    client.Send("get a b\r\n").Expect(ValueReply("a", "y") + ValueReply("b", "z") + "END\r\n");
    server.AdvanceClock(1);
    client.Send("get a b\r\n").Expect(ValueReply("a", "y") + ValueReply("b", "z") + "END\r\n");
  }
}

TEST_CASE_METHOD(WireTest,
                 "curr_items and bytes are those of what is alive at once after flush_all",
                 "[wire][flush_all]") {
  const auto store_some = [this] {
    for (int i = 0; i < 50; ++i) {
      client.Send(SetRequest("key" + std::to_string(i), "value")).Expect("STORED\r\n");
    }
  };
  client.Send("lru_crawler disable\r\n").Expect("OK\r\n");
  for (int round = 0; round < 3; ++round) {
    store_some();
    CHECK(client.Stat("curr_items") == 50);
    client.Send("flush_all\r\n").Expect("OK\r\n");
    CHECK(client.Stat("curr_items") == 0);
    CHECK(client.Stat("bytes") == 0);
  }
  client.Send(SetRequest("key1", "value")).Expect("STORED\r\n");
  CHECK(client.Stat("curr_items") == 1);
  store_some();
  client.Send("flush_all 10\r\n").Expect("OK\r\n");
  server.AdvanceClock(7);
  CHECK(client.Stat("curr_items") == 50);
  server.AdvanceClock(3);
  CHECK(client.Stat("curr_items") == 0);
  CHECK(client.Stat("bytes") == 0);
}

TEST_CASE_METHOD(WireTest, "a delay of 0 or less is none", "[wire][flush_all]") {
  for (const char* request :
       {"flush_all 0\r\n", "flush_all -1\r\n", "flush_all 0 x\r\n", "flush_all -2147483648\r\n"}) {
    CAPTURE(request);
    client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
    client.Send(request).Expect("OK\r\n").ExpectNothing();
    client.Send("get a\r\n").Expect("END\r\n");
  }
}

TEST_CASE_METHOD(WireTest, "a delayed flush_all removes what is there when it is due",
                 "[wire][flush_all]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  client.Send("flush_all 100\r\n").Expect("OK\r\n");
  server.AdvanceClock(97);
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
  client.Send(SetRequest("b", "y")).Expect("STORED\r\n");
  server.AdvanceClock(3);
  client.Send("get a b\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "what is stored after a delayed flush_all was due stays",
                 "[wire][flush_all]") {
  client.Send("flush_all 100\r\n").Expect("OK\r\n");
  server.AdvanceClock(100);
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  server.AdvanceClock(1000);
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "a delay over 30 days is Unix time", "[wire][flush_all]") {
  const std::uint64_t now_s = client.Stat("time");
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  client.Send("flush_all " + std::to_string(now_s + 100) + "\r\n").Expect("OK\r\n");
  server.AdvanceClock(97);
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
  server.AdvanceClock(3);
  client.Send("get a\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "a flush_all takes the place of one that is due later",
                 "[wire][flush_all]") {
  client.Send("flush_all 100\r\nflush_all\r\n").Expect("OK\r\nOK\r\n");
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  server.AdvanceClock(200);
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "a bad delay flushes nothing", "[wire][flush_all]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  for (const char* delay : {"x", "1.5", "4294967297", "noreply 0", "+0"}) {
    CAPTURE(delay);
    client.Send(std::string("flush_all ") + delay + "\r\n").Expect(kBadExptime).ExpectNothing();
  }
  client.Send("flush_all x noreply\r\n").ExpectNothing();
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "flush_all is silent with noreply, and works", "[wire][flush_all]") {
  for (const char* request : {"flush_all noreply\r\n", "flush_all 0 noreply\r\n"}) {
    CAPTURE(request);
    client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
    client.Send(request).ExpectNothing();
    client.Send("get a\r\n").Expect("END\r\n");
  }
}

TEST_CASE_METHOD(WireTest, "what was flushed is absent for every command", "[wire][flush_all]") {
  client.Send(SetRequest("a", "1")).Expect("STORED\r\n");
  const std::string cas = client.CasOf("a");
  const auto flushed = [&](const std::string& request) -> Client& {
    client.Send(SetRequest("a", "1") + "flush_all\r\n").Expect("STORED\r\nOK\r\n");
    return client.Send(request);
  };
  flushed("incr a 1\r\n").Expect("NOT_FOUND\r\n");
  flushed("touch a 0\r\n").Expect("NOT_FOUND\r\n");
  flushed("delete a\r\n").Expect("NOT_FOUND\r\n");
  flushed("gat 0 a\r\n").Expect("END\r\n");
  flushed("append a 0 0 1\r\nx\r\n").Expect("NOT_STORED\r\n");
  flushed("replace a 0 0 1\r\nx\r\n").Expect("NOT_STORED\r\n");
  flushed("cas a 0 0 1 " + cas + "\r\nx\r\n").Expect("NOT_FOUND\r\n");
  flushed("add a 0 0 1\r\nx\r\n").Expect("STORED\r\n");
}

TEST_CASE("-F refuses flush_all", "[wire][flush_all]") {
  TestServer server([](Config& config) { config.flush_enabled = false; });
  Client client = server.Connect();
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  client.Send("flush_all\r\n").Expect("CLIENT_ERROR flush_all not allowed\r\n");
  client.Send("flush_all noreply\r\n").ExpectNothing();
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
}

}  // namespace
}  // namespace larder::wire
