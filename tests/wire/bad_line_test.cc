#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

constexpr std::size_t kWaitingBytesMax = 2048;  // Of a line whose end has not come.
constexpr std::string_view kLineTooLong = "CLIENT_ERROR line too long\r\n";

TEST_CASE_METHOD(WireTest, "a line of fewer than four bytes is a bad line", "[wire][bad_line]") {
  for (const char* line : {"\r\n", "\n", " \n", "a\r\n", "ab\n", "mn\n", "\r\r\n"}) {
    CAPTURE(line);
    client.Send(line).Expect(kBadLine).ExpectNothing();
  }
}

TEST_CASE_METHOD(WireTest, "an unknown command is an ERROR", "[wire][bad_line]") {
  for (const char* line : {"ab\r\n", "abc\n", "   \r\n", "foo\r\n", "foo bar baz\r\n", "GET a\r\n",
                           "Set a 0 0 1\r\n", "MN\r\n", " get a\r\n", " version\r\n", " stats\r\n",
                           "get\ta\r\n", "verbosity\t0\r\n", "gets_\r\n", "HTTP/1.1\r\n"}) {
    CAPTURE(line);
    client.Send(line).Expect("ERROR\r\n").ExpectNothing();
  }
}

TEST_CASE_METHOD(WireTest, "admin commands are found behind spaces", "[wire][bad_line]") {
  client.Send("  verbosity 0\r\n").Expect("OK\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "a store with too few words does not take a value along",
                 "[wire][bad_line]") {
  for (const char* line :
       {"set\r\n", "set a\r\n", "set a 0\r\n", "set a 0 0\r\n", "cas a 0 0\r\n"}) {
    CAPTURE(line);
    client.Send(line).Expect(kBadLine).ExpectNothing();
  }
}

TEST_CASE_METHOD(WireTest, "a bad length does not take a value along", "[wire][bad_line]") {
  for (const char* bytes : {"abc", "1x", "+1", "-1", "1.0", "2147483646", "99999999999", "0x1"}) {
    CAPTURE(bytes);
    client.Send(std::string("set a 0 0 ") + bytes + "\r\nmn\r\n");
    client.Expect(kBadLine).Expect("MN\r\n").ExpectNothing();
  }
}

TEST_CASE_METHOD(WireTest, "bad flags take the value along", "[wire][bad_line]") {
  for (const char* flags : {"x", "1.5", "-1", "18446744073709551616"}) {
    CAPTURE(flags);
    client.Send(std::string("set a ") + flags + " 0 2\r\nmn\r\n").Expect(kBadLine).ExpectNothing();
  }
}

TEST_CASE_METHOD(WireTest, "a bad exptime takes the value along", "[wire][bad_line]") {
  for (const char* exptime : {"x", "1.5"}) {
    CAPTURE(exptime);
    client.Send(std::string("set a 0 ") + exptime + " 2\r\nmn\r\n").Expect(kBadLine);
    client.ExpectNothing();
  }
}

TEST_CASE_METHOD(WireTest, "a large value behind bad flags is thrown away", "[wire][bad_line]") {
  const std::string value = PatternBytes(500000, 1);
  client.Send("set a x 0 500000\r\n" + value + "\r\n").Expect(kBadLine).ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "a key of 251 bytes is a bad line with every command",
                 "[wire][bad_line]") {
  const std::string key(251, 'k');
  client.Send("set " + key + " 0 0 2\r\nmn\r\n").Expect(kBadLine).ExpectNothing();
  client.Send("cas " + key + " 0 0 2 1\r\nmn\r\n").Expect(kBadLine).ExpectNothing();
  client.Send("delete " + key + "\r\n").Expect(kBadLine).ExpectNothing();
  client.Send("incr " + key + " 1\r\n").Expect(kBadLine).ExpectNothing();
  client.Send("touch " + key + " 0\r\n").Expect(kBadLine).ExpectNothing();
}

// memcached sends an empty line behind the error, and loses what was answered before it.
TEST_CASE_METHOD(WireTest, "a get with a key of 251 bytes is one error line after the hits",
                 "[wire][bad_line]") {
  const std::string key(251, 'k');
  client.Send("get " + key + "\r\n").Expect(kBadLine).ExpectNothing();
  client.Send("gat 0 " + key + "\r\n").Expect(kBadLine).ExpectNothing();
  client.Send("set a 0 0 1\r\na\r\nget a " + key + " a\r\n").Expect("STORED\r\n");
  client.Expect(ValueReply("a", "a")).Expect(kBadLine).ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "2048 bytes may wait for their line end", "[wire][bad_line]") {
  client.Send(std::string(kWaitingBytesMax, 'x')).ExpectSilence();
  client.Send("\r\n").Expect("ERROR\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "2049 bytes without a line end close the connection",
                 "[wire][bad_line]") {
  client.Send(std::string(kWaitingBytesMax + 1, 'x')).Expect(kLineTooLong).ExpectClosed();
}

TEST_CASE_METHOD(WireTest, "a line that is too long is told so, whatever it begins with",
                 "[wire][bad_line]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  const std::string spaces(kWaitingBytesMax, ' ');
  for (const std::string& line : {"get a" + spaces, "gat 1" + spaces, "mg a" + spaces,
                                  "set a 0 0 1" + spaces, "mn" + spaces, spaces + "get a"}) {
    CAPTURE(line);
    server.Connect().Send(line).Expect(kLineTooLong).ExpectClosed();
  }
  server.Connect().Send("get a b" + spaces).Expect(ValueReply("a", "x")).Expect(kLineTooLong);
}

TEST_CASE_METHOD(WireTest, "a longer line is taken when its end comes with it",
                 "[wire][bad_line]") {
  client.Send(std::string(3000, 'x') + "\r\n").Expect("ERROR\r\n").ExpectNothing();
  client.Send("delete a " + std::string(5000, 'x') + "\r\n").Expect("NOT_FOUND\r\n");
}

TEST_CASE_METHOD(WireTest, "replies before a line that is too long are sent", "[wire][bad_line]") {
  client.Send("mn\r\ndelete " + std::string(2100, 'k'))
      .Expect("MN\r\n")
      .Expect(kLineTooLong)
      .ExpectClosed();
}

TEST_CASE_METHOD(WireTest, "a get line may be as long as it likes", "[wire][bad_line]") {
  client.Send(SetRequest("last", "x")).Expect("STORED\r\n");
  std::string line = "get";
  for (int i = 0; i < 300; ++i) line += " k" + std::to_string(10000 + i);
  client.Send(line).ExpectSilence();
  client.Send(" last\r\n").Expect(ValueReply("last", "x") + "END\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "an unknown command that ends in HTTP/ closes without a reply",
                 "[wire][bad_line]") {
  const char* request = GENERATE("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "foo HTTP/1.0\r\n",
                                 "POST /x HTTP/1.1\r\n\r\nset a 0 0 1\r\nx\r\n");
  client.Send(request).ExpectClosed();
  server.Connect().Send("get a\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "HTTP/1.1 may be a key", "[wire][bad_line]") {
  client.Send("get / HTTP/1.1\r\n").Expect("END\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "behind a first byte 0x80 no line is answered", "[wire][bad_line]") {
  client.Send("\x80\r\nversion\r\n").ExpectSilence();
}

TEST_CASE_METHOD(WireTest, "a later byte 0x80 begins a bad line", "[wire][bad_line]") {
  client.Send("mn\r\n").Expect("MN\r\n");
  client
      .Send(
          "\x80"
          "abc\r\n")
      .Expect("ERROR\r\n")
      .ExpectNothing();
}

TEST_CASE("with -B ascii a first byte 0x80 begins a bad line", "[wire][bad_line]") {
  TestServer server(
      [](Config& config) { config.protocol = larder::server::BindingProtocol::kAscii; });
  server.Connect()
      .Send(
          "\x80"
          "abc\r\n")
      .Expect("ERROR\r\n")
      .ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "requests may come in any pieces", "[wire][bad_line]") {
  client.SendInPieces({"se", "t a 0 0 ", "5\r", "\nhel", "lo", "\r"}).ExpectSilence();
  client.Send("\n").Expect("STORED\r\n");
  client.SendInPieces({"get", " a\r", "\n"}).Expect(ValueReply("a", "hello") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "a connection goes on after every kind of error", "[wire][bad_line]") {
  client.Send(
      "foo\r\n\r\nget\r\nset a x 0 1\r\nx\r\nset a 0 0 1\r\nxyz\r\nincr a x\r\ngat x a\r\n");
  client.Expect("ERROR\r\n").Expect(kBadLine).Expect(kBadLine).Expect(kBadLine);
  client.Expect(kBadDataChunk).Expect(kBadLine);
  client.Expect(kBadDelta).Expect(kBadExptime).ExpectNothing();
}

}  // namespace
}  // namespace larder::wire
