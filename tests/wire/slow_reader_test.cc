#include <sys/resource.h>

#include <fstream>

#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

std::size_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t size = 0;
  std::size_t resident = 0;
  file >> size >> resident;
  return resident * 4096;
}

std::string Repeat(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

TEST_CASE("a client that does not read is not served on, and takes bounded memory",
          "[wire][slow_reader]") {
  TestServer server([](Config& config) { config.threads = 1; });
  Client client = server.Connect();
  const std::string value = PatternBytes(4000, 1);
  client.Send(SetRequest("a", value)).Expect("STORED\r\n");

  Client slow = server.ConnectSlow();
  const std::size_t before = ResidentBytes();
  const std::string gets = Repeat("get a\r\n", 200000);  // Ask for 800 MB.
  slow.SendWithoutReading(gets);
  server.Settle();
  CHECK(client.Stat("cmd_get") < 20000);  // Most wait in the sockets.
  CHECK(ResidentBytes() < before + (std::size_t{64} << 20));
  // Others are served meanwhile.
  for (int i = 0; i < 100; ++i) {
    client.Send("get a\r\n").Expect(ValueReply("a", value) + "END\r\n");
  }
}

TEST_CASE_METHOD(WireTest, "a client that reads late gets every byte in order",
                 "[wire][slow_reader]") {
  std::string requests;
  std::string replies;
  for (std::uint32_t i = 0; i < 3000; ++i) {
    const std::string value = PatternBytes(i % 100 == 0 ? 100000 : i % 2000, i);
    requests += SetRequest("a", value, i) + "get a\r\nfoo\r\n";
    replies += "STORED\r\n" + ValueReply("a", value, i) + "END\r\nERROR\r\n";
  }
  Client slow = server.ConnectSlow();
  const std::size_t taken = slow.SendWithoutReading(requests);
  slow.Send(std::string_view(requests).substr(taken)).Expect(replies).ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "a value that comes while replies are stuck is stored as it was sent",
                 "[wire][slow_reader]") {
  // The replies to the gets are more than the sockets hold, so the server stops with the value at
  // hand in part.
  client.Send(SetRequest("big", PatternBytes(1000000, 1))).Expect("STORED\r\n");
  const std::size_t gets = 15;
  const std::string value = PatternBytes(200000, 2);
  const std::size_t came = static_cast<std::size_t>(GENERATE(1, 1000, 30000));
  CAPTURE(came);
  const std::string set = SetRequest("a", value);
  const std::size_t head = set.size() - value.size() - 2;

  Client slow = server.ConnectSlow();
  CHECK(slow.SendWithoutReading(Repeat("get big\r\n", gets) + set.substr(0, head + came)) ==
        gets * 9 + head + came);
  server.Settle();
  slow.Send(std::string_view(set).substr(head + came));
  for (std::size_t i = 0; i < gets; ++i) {
    slow.Expect(ValueReply("big", PatternBytes(1000000, 1)) + "END\r\n");
  }
  slow.Expect("STORED\r\n").ExpectNothing();
  client.Send("get a\r\n").Expect(ValueReply("a", value) + "END\r\n");
}

TEST_CASE("clients that do not read cannot keep memory from others", "[wire][slow_reader]") {
  // Each asks for all that there is. What is on its way to them cannot be evicted.
  TestServer server([](Config& config) { config.memory_bytes = std::uint64_t{64} << 20; });
  Client client = server.Connect();
  const std::string value = PatternBytes(1000000, 1);
  std::string line = "get";
  for (int i = 0; i < 70; ++i) {
    client.Send(SetRequest("k" + std::to_string(i), value)).Expect("STORED\r\n");
    line += " k" + std::to_string(i);
  }
  std::vector<Client> slow;
  for (int i = 0; i < 4; ++i) {
    slow.push_back(server.ConnectSlow());
    slow.back().SendWithoutReading(line + "\r\n");
  }
  server.Settle();
  for (int i = 0; i < 100; ++i) {
    client.Send(SetRequest("n" + std::to_string(i), value)).Expect("STORED\r\n");
  }
}

TEST_CASE_METHOD(WireTest, "a value that hundreds are being sent is there for everybody else too",
                 "[wire][slow_reader]") {
  const std::string value = PatternBytes(1000000, 1);
  client.Send(SetRequest("a", value)).Expect("STORED\r\n");
  const std::size_t before = ResidentBytes();
  std::vector<Client> slow;
  for (int i = 0; i < 400; ++i) {
    slow.push_back(server.ConnectSlow());
    slow.back().SendWithoutReading(Repeat("get a\r\n", 4));
  }
  server.Settle();
  CHECK(ResidentBytes() < before + (std::size_t{64} << 20));
  const std::string reply = ValueReply("a", value) + "END\r\n";
  client.Send("get a\r\ntouch a 0\r\ngat 0 a\r\n").Expect(reply + "TOUCHED\r\n" + reply);
  client.Send("touch a 500\r\ngat 500 a\r\n").Expect("TOUCHED\r\n" + reply);
  client.Send("mg a T500 v\r\n").Expect("VA 1000000\r\n" + value + "\r\n");
  client.Send("md a I T500\r\nmd a I E5\r\n").Expect("HD\r\nHD\r\n");
  client.Send("append a 0 0 1\r\n+\r\nprepend a 0 0 1\r\n-\r\nms a 1 MA\r\n+\r\n");
  client.Expect("STORED\r\nSTORED\r\nHD\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", "-" + value + "++") + "END\r\n");
  // What they were being sent stays as it was. How many requests are taken while the client does
  // not read depends on the sockets; the others are answered with what is there when they are
  // taken.
  const std::vector<std::string> versions{reply, ValueReply("a", "-" + value + "++") + "END\r\n",
                                          "END\r\n"};
  const auto check_replies = [&](Client& reader, std::size_t last_version) {
    std::size_t version = 0;
    for (int i = 0; i < 4; ++i) {
      const std::string got = reader.ReceiveUntil("END\r\n");
      while (i > 0 && version < last_version && got != versions[version]) ++version;
      REQUIRE((got == versions[version]));
    }
  };
  check_replies(slow[300], 1);
  client.Send("delete a\r\n").Expect("DELETED\r\n");
  check_replies(slow[301], 2);
  slow.clear();
  server.Settle();
  for (const auto& [name, used] : client.Stats("slabs")) {
    if (!name.ends_with(":used_chunks")) continue;
    CAPTURE(name);
    CHECK(used == "0");
  }
}

TEST_CASE_METHOD(WireTest, "quit waits for replies that are stuck", "[wire][slow_reader]") {
  const std::string value = PatternBytes(1000000, 1);
  client.Send(SetRequest("a", value)).Expect("STORED\r\n");
  Client slow = server.ConnectSlow();
  slow.SendWithoutReading(Repeat("get a\r\n", 15) + "quit\r\n");
  server.Settle();
  for (int i = 0; i < 15; ++i) slow.Expect(ValueReply("a", value) + "END\r\n");
  slow.ExpectClosed();
}

TEST_CASE_METHOD(WireTest, "a client that leaves its replies unread leaves nothing behind",
                 "[wire][slow_reader]") {
  client.Send(SetRequest("a", PatternBytes(1000000, 1))).Expect("STORED\r\n");
  for (int i = 0; i < 5; ++i) {
    Client slow = server.ConnectSlow();
    slow.SendWithoutReading(Repeat("get a\r\n", 50));
    server.Settle();
    slow.Reset();
  }
  server.Settle();
  client.Send("delete a\r\n").Expect("DELETED\r\n");
  // Nobody holds the value any more, so its chunks are free.
  const auto slabs = client.Stats("slabs");
  for (const auto& [name, used] : slabs) {
    if (!name.ends_with(":used_chunks")) continue;
    CAPTURE(name);
    CHECK(used == "0");
  }
}

}  // namespace
}  // namespace larder::wire
