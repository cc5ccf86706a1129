#include "tests/temporary_folder.h"
#include "tests/wire/binary_fixture.h"

namespace larder::wire {
namespace {

// A server of 8 MB that does not evict, and whose last page is taken.
class FullTest {
 protected:
  static constexpr std::size_t kValueBytes = 40000;

  FullTest() {
    client.Send(SetRequest("n", "9")).Expect("STORED\r\n");
    for (int stored = 0;; ++stored) {
      client.Send(SetRequest("k" + std::to_string(stored), value));
      const std::string reply = client.ReceiveLine();
      if (reply == kNoMemoryStoring) break;
      REQUIRE(reply == "STORED\r\n");
      REQUIRE(stored < 1000);
    }
  }

  const std::string value = PatternBytes(kValueBytes, 1);
  TestServer server{[](Config& config) {
    config.memory_bytes = 8U << 20;
    config.evict = false;
  }};
  Client client = server.Connect();
};

TEST_CASE("with -M a full memory refuses stores and keeps what it has", "[wire][full_memory]") {
  TestServer server([](Config& config) {
    config.memory_bytes = 8U << 20;
    config.evict = false;
  });
  Client client = server.Connect();
  const std::string value = PatternBytes(500000, 1);
  int stored = 0;
  for (;; ++stored) {
    client.Send(SetRequest("k" + std::to_string(stored), value));
    if (client.ReceiveLine() == kNoMemoryStoring) break;
    REQUIRE(stored < 100);
  }
  client.ExpectNothing();
  CHECK(stored >= 12);
  for (int i = 0; i < stored; ++i) {
    const std::string key = "k" + std::to_string(i);
    client.Send("get " + key + "\r\n").Expect(ValueReply(key, value) + "END\r\n");
  }
  const auto stats = client.Stats();
  CHECK(stats.at("evictions") == "0");
  CHECK(std::stoull(stats.at("store_no_memory")) == 1);
}

TEST_CASE_METHOD(FullTest, "with full memory an item gets its first expiry where it lies",
                 "[wire][full_memory]") {
  const std::string reply = ValueReply("k0", value) + "END\r\n";
  client.Send("touch k0 100\r\nmg k0 t\r\n").Expect("TOUCHED\r\nHD t100\r\n");
  client.Send("gat 200 k1\r\nmg k1 t\r\n");
  client.Expect(ValueReply("k1", value) + "END\r\nHD t200\r\n");
  client.Send("mg k2 T300 s t\r\n").Expect("HD s40000 t300\r\n");
  client.Send("mg k3 N100 T300 s t\r\n").Expect("HD s40000 t300\r\n");
  client.Send("md k4 I T400\r\nmg k4 t\r\n").Expect("HD\r\nHD t400 X W\r\n");
  client.Send("ma n MD T500 t v\r\n").Expect("VA 1 t500\r\n8\r\n");
  BinaryClient binary{server.Connect()};
  CHECK(binary.Ask({.opcode = kTouch, .extras = Big(600, 4), .key = "k5"}).status == 0);
  CHECK(binary.Ask({.opcode = kGat, .extras = Big(700, 4), .key = "k6"}).status == 0);
  client.Send("mg k5 t\r\nmg k6 t\r\n").Expect("HD t600\r\nHD t700\r\n");
  client.Send("touch k0 0\r\nmg k0 t\r\n").Expect("TOUCHED\r\nHD t-1\r\n");
}

// Larder without eviction, on the memory file of one that evicted: it is full of items that have no
// room for an expiry.
class RestartedFullTest {
 protected:
  RestartedFullTest() {
    {
      TestServer evicting([&](Config& config) { Configure(config, true); });
      Client client = evicting.Connect();
      for (int stored = 0; client.Stat("evictions") == 0; ++stored) {
        REQUIRE(stored < 1000);
        client.Send(SetRequest("k" + std::to_string(stored), value)).Expect("STORED\r\n");
      }
      client.Send("get k10\r\n").Expect(reply);
      evicting.RequestStop();
      evicting.Join();
    }
    server = std::make_unique<TestServer>([&](Config& config) { Configure(config, false); });
  }
  void Configure(Config& config, bool evicts) {
    config.memory_bytes = 8U << 20;
    config.memory_file = folder / "items";
    config.evict = evicts;
  }

  TemporaryFolder folder;
  const std::string value = PatternBytes(40000, 1);
  const std::string reply = ValueReply("k10", value) + "END\r\n";
  std::unique_ptr<TestServer> server;
};

TEST_CASE_METHOD(RestartedFullTest, "a key whose expiry needs memory that is out is never missed",
                 "[wire][full_memory]") {
  Client client = server->Connect();
  const std::string_view kNoMemory = "SERVER_ERROR out of memory\r\n";
  const std::string_view kNoMemoryWriting = "SERVER_ERROR out of memory writing get response\r\n";
  client.Send("get k10\r\n").Expect(reply);
  client.Send("touch k10 100\r\n").Expect(kNoMemory).ExpectNothing();
  client.Send("touch k10 100 noreply\r\n").ExpectNothing();
  client.Send("gat 100 k10\r\n").Expect(kNoMemoryWriting).ExpectNothing();
  client.Send("gats 100 none k10\r\n").Expect(kNoMemoryWriting).ExpectNothing();
  client.Send("mg k10 T100 v\r\n").Expect(kNoMemory).ExpectNothing();
  client.Send("mg k10 T100 q\r\n").Expect(kNoMemory).ExpectNothing();
  client.Send("mg k10 N100 T100 v\r\n").Expect(kNoMemory).ExpectNothing();
  client.Send("md k10 I T100\r\n").Expect(kNoMemory).ExpectNothing();
  client.Send("touch k10 0\r\nget k10\r\n").Expect("TOUCHED\r\n" + reply);
  BinaryClient binary{server->Connect()};
  for (const Opcode opcode : {kTouch, kGat, kGatQ, kGatK, kGatKQ}) {
    CAPTURE(int{opcode});
    binary.Send({.opcode = opcode, .extras = Big(100, 4), .key = "k10"});
    binary.Expect(opcode, kNoMemoryForItem).ExpectNothing();
  }
  // It is no hit, and no miss either.
  CHECK(client.Stat("touch_hits") == 1);
  CHECK(client.Stat("touch_misses") == 1);  // "none".
  CHECK(client.Stat("get_misses") == 0);
  // A line that has more keys to answer cannot go on after an error.
  Client other = server->Connect();
  other.Send("gat 100 k10 k11\r\n").Expect(kNoMemoryWriting).ExpectClosed();
  client.Send("delete k11\r\ntouch k10 100\r\n").Expect("DELETED\r\nTOUCHED\r\n");
  client.Send("mg k10 t\r\n").Expect("HD t100\r\n");
}

TEST_CASE_METHOD(FullTest, "with full memory every store is refused", "[wire][full_memory]") {
  for (const char* verb : {"set", "add"}) {
    CAPTURE(verb);
    client.Send(StorageRequest({.verb = verb, .key = "new", .value = value}));
    client.Expect(kNoMemoryStoring).ExpectNothing();
  }
  client.Send(StorageRequest({.key = "new", .value = value, .rest = "noreply"}));
  client.ExpectNothing();
  client.Send("get new\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(FullTest, "a set without memory removes the old item", "[wire][full_memory]") {
  // Another class than its own, which has no chunk left.
  client.Send("set k0 0 0 1000\r\n" + std::string(1000, 'x') + "\r\n").Expect(kNoMemoryStoring);
  client.Send("get k0\r\n").Expect("END\r\n");
}

TEST_CASE_METHOD(FullTest, "other stores without memory keep the old item", "[wire][full_memory]") {
  const std::string other(1000, 'x');
  client.Send(StorageRequest({.verb = "replace", .key = "k0", .value = other}));
  client.Expect(kNoMemoryStoring).ExpectNothing();
  client.Send("cas k0 0 0 1000 " + client.CasOf("k0") + "\r\n" + other + "\r\n");
  client.Expect(kNoMemoryStoring).ExpectNothing();
  client.Send("get k0\r\n").Expect(ValueReply("k0", value) + "END\r\n");
}

TEST_CASE_METHOD(FullTest, "append without memory keeps the old value", "[wire][full_memory]") {
  client.Send("append k0 0 0 20000\r\n" + std::string(20000, 'x') + "\r\n");
  const std::string reply = client.ReceiveLine();
  CHECK((reply == "NOT_STORED\r\n" || reply == kNoMemoryStoring));
  client.ExpectNothing();
  client.Send("get k0\r\n").Expect(ValueReply("k0", value) + "END\r\n");
}

TEST_CASE_METHOD(FullTest, "incr without memory to grow keeps the value", "[wire][full_memory]") {
  // 20 digits need a larger chunk than one, and its class has no page.
  client.Send("incr n 18446744073709551600\r\n").Expect("SERVER_ERROR out of memory\r\n");
  client.Send("get n\r\n").Expect(ValueReply("n", "9") + "END\r\n");
  client.Send("decr n 1\r\n").Expect("8\r\n");
}

TEST_CASE_METHOD(FullTest, "deleting makes room again", "[wire][full_memory]") {
  client.Send("delete k0\r\n").Expect("DELETED\r\n");
  client.Send(SetRequest("new", value)).Expect("STORED\r\n");
}

TEST_CASE("when memory is full values of every size are stored by evicting older ones",
          "[wire][full_memory]") {
  TestServer server([](Config& config) { config.memory_bytes = 16U << 20; });
  Client client = server.Connect();
  constexpr std::size_t kSizes[] = {10, 100, 1000, 9000, 60000, 130000, 262144, 700000, 1048000};
  for (int round = 0; round < 60; ++round) {
    const std::size_t bytes = kSizes[static_cast<std::size_t>(round) % std::size(kSizes)];
    CAPTURE(round, bytes);
    const int count = static_cast<int>(std::min<std::size_t>(1 + 1000000 / bytes, 3000));
    const std::string value = PatternBytes(bytes, bytes);
    std::string requests;
    for (int i = 0; i < count; ++i) {
      requests += StorageRequest({.key = "r" + std::to_string(round) + "_" + std::to_string(i),
                                  .value = value,
                                  .rest = "noreply"});
    }
    client.Send(requests + SetRequest("last", value)).Expect("STORED\r\n").ExpectNothing();
    client.Send("get last\r\n").Expect(ValueReply("last", value) + "END\r\n");
  }
  const auto stats = client.Stats();
  CHECK(std::stoull(stats.at("evictions")) > 0);
  CHECK(stats.at("store_no_memory") == "0");
  CHECK(std::stoull(client.Stats("slabs").at("total_malloced")) <= 16U << 20);
}

}  // namespace
}  // namespace larder::wire
