#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

TEST_CASE_METHOD(WireTest, "incr and decr answer the new number", "[wire][incr]") {
  client.Send(SetRequest("a", "10")).Expect("STORED\r\n");
  client.Send("incr a 5\r\n").Expect("15\r\n");
  client.Send("decr a 3\r\n").Expect("12\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", "12") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "incr and decr find nothing where nothing is", "[wire][incr]") {
  client.Send("incr a 1\r\ndecr a 1\r\n").Expect("NOT_FOUND\r\nNOT_FOUND\r\n");
}

TEST_CASE_METHOD(WireTest, "incr and decr without a delta are bad lines", "[wire][incr]") {
  for (const char* request : {"incr\r\n", "incr a\r\n", "decr\r\n", "decr a\r\n"}) {
    CAPTURE(request);
    client.Send(request).Expect(kBadLine).ExpectNothing();
  }
}

TEST_CASE_METHOD(WireTest, "incr makes a value longer and keeps flags", "[wire][incr]") {
  client.Send(SetRequest("a", "99", 5)).Expect("STORED\r\n");
  client.Send("incr a 1\r\n").Expect("100\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", "100", 5) + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "incr keeps the expiry, in place and when it grows", "[wire][incr]") {
  client.Send("set a 5 100 1\r\n8\r\n").Expect("STORED\r\n");
  client.Send("incr a 1\r\nincr a 1\r\n").Expect("9\r\n10\r\n");
  server.AdvanceClock(97);
  client.Send("get a\r\n").Expect(ValueReply("a", "10", 5) + "END\r\n");
  server.AdvanceClock(3);
  client.Send("incr a 1\r\n").Expect("NOT_FOUND\r\n");
}

TEST_CASE_METHOD(WireTest, "a value never gets shorter: it is padded", "[wire][decr]") {
  client.Send(SetRequest("a", "100", 5)).Expect("STORED\r\n");
  client.Send("decr a 1\r\n").Expect("99\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", "99 ", 5) + "END\r\n");
  client.Send("decr a 95\r\n").Expect("4\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", "4  ", 5) + "END\r\n");
  client.Send("incr a 996\r\n").Expect("1000\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", "1000", 5) + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "decr stops at 0", "[wire][decr]") {
  client.Send(SetRequest("a", "10")).Expect("STORED\r\n");
  client.Send("decr a 11\r\n").Expect("0\r\n");
  client.Send("decr a 1\r\n").Expect("0\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", "0 ") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "incr wraps at 64 bits", "[wire][incr]") {
  client.Send(SetRequest("a", "18446744073709551615")).Expect("STORED\r\n");
  client.Send("incr a 1\r\n").Expect("0\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", "0" + std::string(19, ' ')) + "END\r\n");
  client.Send("incr a 18446744073709551615\r\n").Expect("18446744073709551615\r\n");
  client.Send("incr a 2\r\n").Expect("1\r\n");
}

TEST_CASE_METHOD(WireTest, "a bad delta is refused before the key is looked up", "[wire][incr]") {
  for (const char* delta :
       {"x", "-1", "+1", "1.5", "18446744073709551616", "1x", "00000000000000000000001"}) {
    CAPTURE(delta);
    client.Send(std::string("incr a ") + delta + "\r\ndecr a " + delta + "\r\n");
    client.Expect(kBadDelta).Expect(kBadDelta).ExpectNothing();
  }
}

TEST_CASE_METHOD(WireTest, "a delta may have 22 digits", "[wire][incr]") {
  client.Send(SetRequest("a", "1")).Expect("STORED\r\n");
  client.Send("incr a 0000000000000000000001\r\n").Expect("2\r\n");
}

TEST_CASE_METHOD(WireTest, "incr ignores further words", "[wire][incr]") {
  client.Send(SetRequest("a", "1")).Expect("STORED\r\n");
  client.Send("incr a 1 junk\r\n").Expect("2\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "a value that is no number stays as it is", "[wire][incr]") {
  for (const char* value : {"", "abc", "12abc", "0x10", "1.5", "-1", "18446744073709551616",
                            "999999999999999999999", " ", "+"}) {
    CAPTURE(value);
    client.Send(SetRequest("a", value)).Expect("STORED\r\n");
    client.Send("incr a 1\r\ndecr a 1\r\n").Expect(kNonNumeric).Expect(kNonNumeric);
    client.Send("get a\r\n").Expect(ValueReply("a", value) + "END\r\n");
  }
}

TEST_CASE_METHOD(WireTest, "what counts as a number is what strtoull takes", "[wire][incr]") {
  const auto incremented = [&](std::string_view value) {
    client.Send(SetRequest("a", value)).Expect("STORED\r\n");
    client.Send("incr a 1\r\n");
    client.ReceiveLine();
    client.Send("get a\r\n");
    client.ReceiveLine();
    std::string stored = client.ReceiveUntil("\r\nEND\r\n");
    return stored.substr(0, stored.size() - 7);
  };
  CHECK(incremented("000") == "1  ");
  CHECK(incremented("12 abc") == "13    ");
  CHECK(incremented(" 12") == "13 ");
  CHECK(incremented("+5") == "6 ");
  CHECK(incremented("7\tx") == "8  ");
  CHECK(incremented({"7\0x", 3}) == "8  ");
  CHECK(incremented(std::string(25, '0') + "1") == "2" + std::string(25, ' '));
}

TEST_CASE_METHOD(WireTest, "a number that a slow client is reading is replaced, not rewritten",
                 "[wire][incr]") {
  // Long enough to be sent from where it lies.
  const std::string value = "1" + std::string(100000, ' ');
  client.Send(SetRequest("a", value)).Expect("STORED\r\n");
  Client slow = server.ConnectSlow();
  std::string gets;
  for (int i = 0; i < 100; ++i) gets += "get a\r\n";
  slow.SendWithoutReading(gets);
  server.Settle();
  client.Send("incr a 1\r\n").Expect("2\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", "2") + "END\r\n");
  slow.Expect(ValueReply("a", value) + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "incr over several connections loses nothing", "[wire][incr]") {
  client.Send(SetRequest("a", "0")).Expect("STORED\r\n");
  std::vector<Client> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(server.Connect());
  std::string requests;
  for (int i = 0; i < 500; ++i) requests += "incr a 1 noreply\r\n";
  for (Client& each : clients) each.Send(requests);
  for (Client& each : clients) each.ExpectNothing();
  client.Send("incr a 0\r\n").Expect("2000\r\n");
}

}  // namespace
}  // namespace larder::wire
