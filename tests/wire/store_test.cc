#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

TEST_CASE_METHOD(WireTest, "set replaces value and flags", "[wire][set]") {
  client.Send(SetRequest("a", "x", 1)).Expect("STORED\r\n");
  client.Send(SetRequest("a", "yy", 2)).Expect("STORED\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", "yy", 2) + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "set keeps what it stored through changes of size", "[wire][set]") {
  for (const std::size_t bytes : {10U, 11U, 500U, 499U, 0U, 3000U, 200000U, 1U, 140000U, 20U}) {
    CAPTURE(bytes);
    const std::string value = PatternBytes(bytes, bytes);
    const auto flags = static_cast<std::uint32_t>(bytes % 3);
    client.Send(SetRequest("a", value, flags)).Expect("STORED\r\n");
    client.Send("get a\r\n").Expect(ValueReply("a", value, flags) + "END\r\n");
  }
}

TEST_CASE_METHOD(WireTest, "set takes flags of 32 bits", "[wire][set]") {
  client.Send(SetRequest("a", "x", 4294967295)).Expect("STORED\r\n");
  client.Send("get a\r\n").Expect("VALUE a 4294967295 1\r\nx\r\nEND\r\n");
}

TEST_CASE_METHOD(WireTest, "of larger flags the low 32 bits are kept", "[wire][set]") {
  const auto flags_of = [&](const char* flags) {
    client.Send(std::string("set a ") + flags + " 0 1\r\nx\r\n").Expect("STORED\r\n");
    client.Send("get a\r\n");
    const std::string head = client.ReceiveLine();
    client.Expect("x\r\nEND\r\n");
    return head.substr(8, head.size() - 12);
  };
  CHECK(flags_of("4294967296") == "0");
  CHECK(flags_of("4294967297") == "1");
  CHECK(flags_of("18446744073709551615") == "4294967295");
  CHECK(flags_of("-18446744073709551615") == "1");
}

TEST_CASE_METHOD(WireTest, "flags may have a plus sign and leading zeros", "[wire][set]") {
  client.Send("set a +007 0 1\r\nx\r\n").Expect("STORED\r\n");
  client.Send("get a\r\n").Expect("VALUE a 7 1\r\nx\r\nEND\r\n");
}

TEST_CASE_METHOD(WireTest, "a lone dash is a length of 0", "[wire][set]") {
  client.Send("set a 0 0 -\r\n\r\n").Expect("STORED\r\n");
  client.Send("get a\r\n").Expect("VALUE a 0 0\r\n\r\nEND\r\n");
}

TEST_CASE_METHOD(WireTest, "set ignores further words", "[wire][set]") {
  client.Send("set a 0 0 1 foo bar\r\nx\r\n").Expect("STORED\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "a key of 250 bytes works with every command", "[wire][set]") {
  const std::string key(250, 'k');
  client.Send(SetRequest(key, "5")).Expect("STORED\r\n");
  client.Send("get " + key + "\r\n").Expect(ValueReply(key, "5") + "END\r\n");
  client.Send("incr " + key + " 1\r\n").Expect("6\r\n");
  client.Send("touch " + key + " 0\r\n").Expect("TOUCHED\r\n");
  client.Send("gat 0 " + key + "\r\n").Expect(ValueReply(key, "6") + "END\r\n");
  client.Send("delete " + key + "\r\n").Expect("DELETED\r\n");
}

TEST_CASE_METHOD(WireTest, "add stores only what is absent", "[wire][add]") {
  client.Send("add a 1 0 1\r\nx\r\n").Expect("STORED\r\n");
  client.Send("add a 2 0 1\r\ny\r\n").Expect("NOT_STORED\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", "x", 1) + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "add stores what has expired", "[wire][add]") {
  client.Send("set a 0 10 1\r\nx\r\n").Expect("STORED\r\n");
  server.AdvanceClock(10);
  client.Send("add a 0 0 1\r\ny\r\n").Expect("STORED\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", "y") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "replace stores only what is present", "[wire][replace]") {
  client.Send("replace a 1 0 1\r\nx\r\n").Expect("NOT_STORED\r\n");
  client.Send("get a\r\n").Expect("END\r\n");
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  client.Send("replace a 3 0 2\r\nyy\r\n").Expect("STORED\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", "yy", 3) + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "append and prepend keep flags", "[wire][append]") {
  client.Send(SetRequest("a", "c", 3)).Expect("STORED\r\n");
  client.Send("append a 9 1 3\r\nXYZ\r\n").Expect("STORED\r\n");
  client.Send("prepend a 9 1 2\r\n<<\r\n").Expect("STORED\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", "<<cXYZ", 3) + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "append keeps the expiry", "[wire][append]") {
  client.Send("set a 3 100 1\r\nc\r\n").Expect("STORED\r\n");
  client.Send("append a 9 1 1\r\nX\r\n").Expect("STORED\r\n");
  server.AdvanceClock(97);
  client.Send("get a\r\n").Expect(ValueReply("a", "cX", 3) + "END\r\n");
  server.AdvanceClock(3);
  client.Send("get a\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "append and prepend store nothing where nothing is", "[wire][append]") {
  client.Send("append a 0 0 1\r\nx\r\n").Expect("NOT_STORED\r\n");
  client.Send("prepend a 0 0 1\r\nx\r\n").Expect("NOT_STORED\r\n");
  client.Send("get a\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "appending nothing is a change all the same", "[wire][append]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  const std::string cas = client.CasOf("a");
  client.Send("append a 0 0 0\r\n\r\n").Expect("STORED\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
  CHECK(client.CasOf("a") != cas);
}

TEST_CASE_METHOD(WireTest, "append with bad flags changes nothing", "[wire][append]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  client.Send("append a x 0 1\r\nb\r\n").Expect(kBadLine).ExpectNothing();
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "append and prepend grow a value through every way of keeping it",
                 "[wire][append]") {
  std::string value = "middle";
  client.Send(SetRequest("a", value, 3)).Expect("STORED\r\n");
  for (const std::size_t bytes : {100U, 8000U, 70000U, 140000U, 300000U}) {
    CAPTURE(bytes);
    const std::string more = PatternBytes(bytes, bytes);
    client.Send(StorageRequest({.verb = "append", .key = "a", .value = more}));
    client.Expect("STORED\r\n");
    client.Send(StorageRequest({.verb = "prepend", .key = "a", .value = more}));
    client.Expect("STORED\r\n");
    value = more + value;
    value += more;
    if (value.size() > 700000) break;
    client.Send("get a\r\n").Expect(ValueReply("a", value, 3) + "END\r\n");
  }
}

TEST_CASE_METHOD(WireTest, "append and prepend over the limit keep the old value",
                 "[wire][append]") {
  const std::string old = PatternBytes(600000, 1);
  client.Send(SetRequest("a", old)).Expect("STORED\r\n");
  const std::string more(600000, 'y');
  for (const char* verb : {"append", "prepend"}) {
    CAPTURE(verb);
    client.Send(StorageRequest({.verb = verb, .key = "a", .value = more}));
    client.Expect("NOT_STORED\r\n").ExpectNothing();
  }
  client.Send("get a\r\n").Expect(ValueReply("a", old) + "END\r\n");
}

}  // namespace
}  // namespace larder::wire
