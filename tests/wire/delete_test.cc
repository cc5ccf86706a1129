#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

TEST_CASE_METHOD(WireTest, "delete removes a key once", "[wire][delete]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  client.Send("delete a\r\n").Expect("DELETED\r\n");
  client.Send("delete a\r\n").Expect("NOT_FOUND\r\n");
  client.Send("get a\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "delete finds nothing that has expired", "[wire][delete]") {
  client.Send("set a 0 10 1\r\nx\r\n").Expect("STORED\r\n");
  server.AdvanceClock(10);
  client.Send("delete a\r\n").Expect("NOT_FOUND\r\n");
}

TEST_CASE_METHOD(WireTest, "delete without a key is a bad line", "[wire][delete]") {
  client.Send("delete\r\n").Expect(kBadLine);
  client.Send("delete \r\n").Expect(kBadLine).ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "delete ignores further words", "[wire][delete]") {
  for (const char* request : {"delete a 0\r\n", "delete a 5\r\n", "delete a x y z\r\n"}) {
    CAPTURE(request);
    client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
    client.Send(request).Expect("DELETED\r\n").ExpectNothing();
  }
}

TEST_CASE_METHOD(WireTest, "delete removes a large value and gives its memory back",
                 "[wire][delete]") {
  const std::string value = PatternBytes(900000, 1);
  for (int i = 0; i < 200; ++i) {  // More than the memory holds at once.
    client.Send(SetRequest("a" + std::to_string(i), value)).Expect("STORED\r\n");
    client.Send("delete a" + std::to_string(i) + "\r\n").Expect("DELETED\r\n");
  }
  const auto stats = client.Stats();
  CHECK(stats.at("curr_items") == "0");
  CHECK(stats.at("bytes") == "0");
  CHECK(stats.at("evictions") == "0");
}

}  // namespace
}  // namespace larder::wire
