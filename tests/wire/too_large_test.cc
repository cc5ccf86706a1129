#include <cstring>

#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

constexpr std::size_t kItemBytesMax = 1048576;

TEST_CASE_METHOD(WireTest, "a set that is too large removes the old item", "[wire][too_large]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  client.Send(SetRequest("a", std::string(kItemBytesMax, 'x'))).Expect(kTooLarge).ExpectNothing();
  client.Send("get a\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "other stores that are too large keep the old item",
                 "[wire][too_large]") {
  const std::string value(kItemBytesMax, 'x');
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  for (const char* verb : {"add", "replace", "append", "prepend", "cas"}) {
    CAPTURE(verb);
    const char* const rest = verb == std::string_view("cas") ? "1" : "";
    client.Send(StorageRequest({.verb = verb, .key = "a", .value = value, .rest = rest}));
    client.Expect(kTooLarge).ExpectNothing();
  }
  client.Send("get a\r\n").Expect(ValueReply("a", "x") + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "what is too large is refused before it has come", "[wire][too_large]") {
  client.Send("set a 0 0 1048576\r\nx").Expect(kTooLarge).ExpectSilence();
  client.Send(std::string(kItemBytesMax - 1, 'x') + "\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "what is too large is thrown away whatever it holds",
                 "[wire][too_large]") {
  std::string value;
  while (value.size() < 2 * kItemBytesMax) value += "\r\nset a 0 0 1\r\nx\r\nquit\r\n";
  client.Send(SetRequest("a", value) + "mn\r\n").Expect(kTooLarge).Expect("MN\r\n");
  client.ExpectNothing();
  client.Send("get a\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(WireTest, "the greatest length that there is can be announced",
                 "[wire][too_large]") {
  client.Send("set a 0 0 2147483645\r\n").Expect(kTooLarge).ExpectSilence();
}

TEST_CASE_METHOD(WireTest, "a value of 1000000 bytes fits, with any key", "[wire][too_large]") {
  const std::string key(250, 'k');
  const std::string value = PatternBytes(1000000, 1);
  client.Send(SetRequest(key, value, 1)).Expect("STORED\r\n");
  client.Send("get " + key + "\r\n").Expect(ValueReply(key, value, 1) + "END\r\n");
}

TEST_CASE_METHOD(WireTest, "a value that memcached takes is taken, and read back",
                 "[wire][too_large]") {
  const std::string value = PatternBytes(1048516, 1);  // memcached's limit with a key of one byte.
  client.Send(SetRequest("a", value)).Expect("STORED\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", value) + "END\r\n");
}

TEST_CASE("-I limits the whole item", "[wire][too_large]") {
  TestServer server([](Config& config) { config.item_bytes_max = 2000; });
  Client client = server.Connect();
  client.Send(SetRequest("a", std::string(1900, 'x'))).Expect("STORED\r\n");
  client.Send(SetRequest("a", std::string(2000, 'x'))).Expect(kTooLarge).ExpectNothing();
  client.Send("get a\r\n").Expect("END\r\n");
  client.Send("set " + std::string(250, 'k') + " 0 0 1900\r\n" + std::string(1900, 'x') + "\r\n");
  client.Expect(kTooLarge).ExpectNothing();
}

TEST_CASE("what is too large is answered alike however the bytes are split, whatever ends them",
          "[wire][too_large]") {
  TestServer server([](Config& config) { config.item_bytes_max = 2000; });
  Client client = server.Connect();
  for (const char* line : {"set a 0 0 3000\r\n", "add b 0 0 3000\r\n", "ms a 3000\r\n",
                           "ms YQ== 3000 b q\r\n", "append a 0 0 3000\r\n"}) {
    for (const char* end : {"\r\n", "\n\n", "xy"}) {
      const std::string request = line + std::string(3000, 'x') + end + "mn\r\n";
      for (const std::size_t split : {std::size_t{0}, std::strlen(line), std::size_t{500},
                                      request.size() - 6, request.size() - 5}) {
        CAPTURE(line, end, split);
        client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
        client.SendInPieces(
            {std::string_view(request).substr(0, split), std::string_view(request).substr(split)});
        client.Expect(kTooLarge).Expect("MN\r\n").ExpectNothing();
      }
    }
  }
}

TEST_CASE("-I can let larger values in", "[wire][too_large]") {
  TestServer server([](Config& config) { config.item_bytes_max = 16 << 20; });
  Client client = server.Connect();
  // More chunks than one receive or send takes.
  const std::string value = PatternBytes(12000000, 1);
  client.Send(SetRequest("a", value)).Expect("STORED\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", value) + "END\r\n");
}

}  // namespace
}  // namespace larder::wire
