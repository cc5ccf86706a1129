#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

TEST_CASE_METHOD(WireTest, "one get may ask for 20000 keys", "[wire][multiget]") {
  constexpr int kKeys = 20000;
  std::string stores;
  std::string line = "get";
  std::string reply;
  for (int i = 0; i < kKeys; ++i) {
    const std::string key = "key" + std::to_string(i);
    line += " " + key;
    if (i % 3 == 0) continue;
    stores += StorageRequest({.key = key, .value = key, .rest = "noreply"});
    reply += ValueReply(key, key);
  }
  client.Send(stores).ExpectNothing();
  client.Send(line + "\r\n").Expect(reply + "END\r\n").ExpectNothing();
  CHECK(client.Stat("cmd_get") == kKeys);
}

TEST_CASE_METHOD(WireTest, "a gets of many keys may come in pieces", "[wire][multiget]") {
  std::string line = "gat 0";
  for (int i = 0; i < 5000; ++i) line += i % 5 == 0 ? " a" : " missing" + std::to_string(i);
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  for (std::size_t at = 0; at < line.size(); at += 1499) {
    client.SendInPieces({std::string_view(line).substr(at, 1499)});
  }
  std::string reply;
  for (int i = 0; i < 1000; ++i) reply += ValueReply("a", "x");
  client.Send("\r\n").Expect(reply + "END\r\n").ExpectNothing();
}

TEST_CASE("one get may ask for 1000 large values", "[wire][multiget]") {
  TestServer server([](Config& config) { config.memory_bytes = std::uint64_t{256} << 20; });
  Client client = server.Connect();
  constexpr std::size_t kValues = 1000;
  std::string line = "get";
  for (std::size_t i = 0; i < kValues; ++i) {
    const std::string key = "k" + std::to_string(i);
    client.Send(SetRequest(key, PatternBytes(50000 + i * 100, i))).Expect("STORED\r\n");
    line += " " + key;
  }
  client.Send(line + "\r\n");
  for (std::size_t i = 0; i < kValues; ++i) {
    client.Expect(ValueReply("k" + std::to_string(i), PatternBytes(50000 + i * 100, i)));
  }
  client.Expect("END\r\n").ExpectNothing();
}

}  // namespace
}  // namespace larder::wire
