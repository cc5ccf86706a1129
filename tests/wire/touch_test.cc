#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

TEST_CASE_METHOD(WireTest, "touch sets the expiry", "[wire][touch]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  client.Send("touch a 100\r\n").Expect("TOUCHED\r\n");
  server.AdvanceClock(97);
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
  server.AdvanceClock(3);
  client.Send("get a\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "touch 0 lets an item live for ever", "[wire][touch]") {
  client.Send("set a 0 100 1\r\nx\r\n").Expect("STORED\r\n");
  client.Send("touch a 0\r\n").Expect("TOUCHED\r\n");
  server.AdvanceClock(1000);
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "touch finds nothing where nothing is", "[wire][touch]") {
  client.Send("touch a 0\r\n").Expect("NOT_FOUND\r\n");
}

TEST_CASE_METHOD(WireTest, "touch with a negative exptime ends an item", "[wire][touch]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  client.Send("touch a -1\r\n").Expect("TOUCHED\r\n");
  client.Send("get a\r\n").Expect("END\r\n");
  client.Send("touch a 100\r\n").Expect("NOT_FOUND\r\n");
}

TEST_CASE_METHOD(WireTest, "touch without an exptime is a bad line", "[wire][touch]") {
  client.Send("touch\r\ntouch a\r\n").Expect(kBadLine).Expect(kBadLine).ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "touch looks at the exptime before the key", "[wire][touch]") {
  for (const char* exptime : {"abc", "1.5", "+1", "2147483648", "-2147483649"}) {
    CAPTURE(exptime);
    client.Send(std::string("touch a ") + exptime + "\r\n").Expect(kBadExptime).ExpectNothing();
  }
}

TEST_CASE_METHOD(WireTest, "touch ignores further words", "[wire][touch]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  client.Send("touch a 1 junk\r\n").Expect("TOUCHED\r\n").ExpectNothing();
}

}  // namespace
}  // namespace larder::wire
