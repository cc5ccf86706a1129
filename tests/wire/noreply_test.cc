#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

TEST_CASE_METHOD(WireTest, "noreply silences every store, done or not", "[wire][noreply]") {
  client.Send(
      "add a 0 0 1 noreply\r\n1\r\nadd a 0 0 1 noreply\r\n2\r\n"
      "replace a 0 0 1 noreply\r\n3\r\nappend a 0 0 1 noreply\r\n4\r\n"
      "prepend a 0 0 1 noreply\r\n0\r\nreplace zz 0 0 1 noreply\r\nx\r\n"
      "append zz 0 0 1 noreply\r\nx\r\n");
  client.ExpectNothing();
  client.Send("get a zz\r\n").Expect(ValueReply("a", "034") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "noreply silences delete, found or not", "[wire][noreply]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  client.Send("delete a noreply\r\ndelete a noreply\r\ndelete a 0 noreply\r\n").ExpectNothing();
  client.Send("get a\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "delete noreply deletes the key noreply in silence", "[wire][noreply]") {
  client.Send(SetRequest("noreply", "x")).Expect("STORED\r\n");
  client.Send("delete noreply\r\n").ExpectNothing();
  client.Send("get noreply\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "noreply silences incr and decr and their errors", "[wire][noreply]") {
  client.Send(SetRequest("a", "1") + SetRequest("b", "x")).Expect("STORED\r\nSTORED\r\n");
  client.Send(
      "incr a 1 noreply\r\nincr zz 1 noreply\r\nincr a x noreply\r\ndecr a 1 noreply\r\n"
      "incr a 5 noreply\r\nincr b 1 noreply\r\nincr a noreply\r\n");
  client.ExpectNothing();
  client.Send("get a\r\n").Expect(ValueReply("a", "6") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "noreply silences touch and its errors", "[wire][noreply]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  client.Send(
      "touch zz 1 noreply\r\ntouch a abc noreply\r\ntouch a noreply\r\n"
      "touch a 100 noreply\r\n");
  client.ExpectNothing();
  server.AdvanceClock(100);
  client.Send("get a\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "noreply silences a key that is too long", "[wire][noreply]") {
  const std::string key(251, 'k');
  client.Send("set " + key + " 0 0 1 noreply\r\nx\r\ndelete " + key + " noreply\r\nincr " + key +
              " 1 noreply\r\ntouch " + key + " 1 noreply\r\n");
  client.ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "noreply silences bad flags and exptime, with their value",
                 "[wire][noreply]") {
  client.Send("set a x 0 2 noreply\r\nmn\r\nset a 0 x 2 noreply\r\nmn\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "noreply silences a value that does not fit", "[wire][noreply]") {
  const std::string value(1048576, 'x');
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  client.Send(StorageRequest({.key = "a", .value = value, .rest = "noreply"})).ExpectNothing();
  client.Send("get a\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "noreply silences an unknown command", "[wire][noreply]") {
  client.Send("foo noreply\r\nfoo bar noreply\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "noreply does not silence what is found before it is looked for",
                 "[wire][noreply]") {
  for (const char* request : {"set a 0 noreply\r\n", "set a 0 0 noreply\r\n",
                              "set a 0 0 -1 noreply\r\n", "set a 0 0 x noreply\r\n", "get\r\n"}) {
    CAPTURE(request);
    client.Send(request).Expect(kBadLine).ExpectNothing();
  }
}

TEST_CASE_METHOD(WireTest, "noreply counts as the last word only", "[wire][noreply]") {
  client.Send("set a 0 0 1 foo noreply\r\nx\r\n").ExpectNothing();
  client.Send("set a 0 0 1 noreply foo\r\ny\r\n").Expect("STORED\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "a noreply behind the 23rd word is not seen", "[wire][noreply]") {
  const auto set_with_extra_words = [](int count) {
    std::string request = "set a 0 0 1";
    for (int i = 0; i < count; ++i) request += " x";
    return request + " noreply\r\na\r\n";
  };
  client.Send(set_with_extra_words(17)).ExpectNothing();
  client.Send(set_with_extra_words(18)).Expect("STORED\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "noreply means nothing to version, stats and mn", "[wire][noreply]") {
  client.Send("version noreply\r\n").ExpectMatch("VERSION [^\r\n]+\r\n");
  client.Send("stats noreply\r\n").Expect("ERROR\r\n");
  client.Send("mn noreply\r\n").Expect("MN\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "stores with noreply need no reading", "[wire][noreply]") {
  std::string requests;
  for (int i = 0; i < 5000; ++i) {
    requests += StorageRequest(
        {.key = "k" + std::to_string(i), .value = PatternBytes(200, 1), .rest = "noreply"});
  }
  client.Send(requests).ExpectNothing();
  CHECK(client.Stat("curr_items") == 5000);
}

}  // namespace
}  // namespace larder::wire
