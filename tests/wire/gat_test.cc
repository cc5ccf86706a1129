#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

TEST_CASE_METHOD(WireTest, "gat answers as get and sets the expiry", "[wire][gat]") {
  client.Send(SetRequest("a", "x", 3)).Expect("STORED\r\n");
  client.Send("gat 100 a\r\n").Expect(ValueReply("a", "x", 3) + "END\r\n");
  server.AdvanceClock(97);
  client.Send("get a\r\n").Expect(ValueReply("a", "x", 3) + "END\r\n");
  server.AdvanceClock(3);
  client.Send("get a\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "gat 0 lets an item live for ever", "[wire][gat]") {
  client.Send("set a 0 100 1\r\nx\r\n").Expect("STORED\r\n");
  client.Send("gat 0 a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
  server.AdvanceClock(1000);
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "gat with a negative exptime answers a last time", "[wire][gat]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  client.Send("gat -1 a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
  client.Send("get a\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "gat sets the expiry of every key that it finds", "[wire][gat]") {
  client.Send(SetRequest("a", "x", 3) + SetRequest("b", "y", 4)).Expect("STORED\r\nSTORED\r\n");
  client.Send("gat 50 a zz b\r\n")
      .Expect(ValueReply("a", "x", 3) + ValueReply("b", "y", 4) + "END\r\n");
  server.AdvanceClock(50);
  client.Send("get a b\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "gat answers END for a key that is absent", "[wire][gat]") {
  client.Send("gat 0 a\r\ngats 0 a b\r\n").Expect("END\r\nEND\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "gats keeps the CAS", "[wire][gats]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  const std::string cas = client.CasOf("a");
  client.Send("gats 50 a\r\n").Expect("VALUE a 0 1 " + cas + "\r\nx\r\nEND\r\n");
  CHECK(client.CasOf("a") == cas);
  server.AdvanceClock(50);
  client.Send("gets a\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "gat without a key is a bad line, whatever the exptime", "[wire][gat]") {
  for (const char* request : {"gat\r\n", "gat \r\n", "gat 0\r\n", "gats 0 \r\n", "gat x\r\n"}) {
    CAPTURE(request);
    client.Send(request).Expect(kBadLine).ExpectNothing();
  }
}

TEST_CASE_METHOD(WireTest, "gat with a bad exptime touches nothing", "[wire][gat]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  for (const char* exptime : {"x", "1.5", "+1", "2147483648", "-2147483649", "noreply"}) {
    CAPTURE(exptime);
    client.Send(std::string("gat ") + exptime + " a\r\n").Expect(kBadExptime).ExpectNothing();
  }
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "a key of gat may be called noreply", "[wire][gat]") {
  client.Send(SetRequest("noreply", "x")).Expect("STORED\r\n");
  client.Send("gat 0 noreply\r\n").Expect(ValueReply("noreply", "x") + "END\r\n");
}

}  // namespace
}  // namespace larder::wire
