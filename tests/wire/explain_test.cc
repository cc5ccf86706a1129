#include <string>

#include "tests/temporary_folder.h"
#include "tests/wire/binary_fixture.h"
#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

TEST_CASE_METHOD(WireTest, "explain tells where a key is without touching it", "[wire][explain]") {
  client.Send("set k 0 60 3\r\nabc\r\n").Expect("STORED\r\n");
  server.AdvanceClock(2);
  client.Send("get k\r\n").Expect(ValueReply("k", "abc") + "END\r\n");
  server.AdvanceClock(5);
  for (int i = 0; i < 2; ++i) {
    client.Send("explain k\r\n")
        .ExpectMatch(
            "EXPLAIN k present cls=\\d+ seg=probation age=7 idle=5 ttl=53 size=32 hits=[01]\r\n");
  }
  CHECK(client.Stats().at("get_hits") == "1");
  CHECK(client.Stats().at("get_misses") == "0");
  client.Send("set k 0 0 3\r\nabc\r\nexplain k\r\n")
      .ExpectMatch("STORED\r\nEXPLAIN k present .* age=0 idle=0 ttl=-1 size=28 .*\r\n");
}

TEST_CASE_METHOD(WireTest, "explain tells that a key was not seen, and misses stay as they are",
                 "[wire][explain]") {
  client.Send("explain k\r\n").Expect("EXPLAIN k not_seen\r\n");
  CHECK(client.Stats().at("get_misses") == "0");
}

TEST_CASE_METHOD(WireTest, "explain tells of a deletion, an expiry, a flush and a refused set",
                 "[wire][explain]") {
  client.Send("set d 0 0 1\r\n1\r\nset e 0 3 1\r\n1\r\nset f 0 0 1\r\n1\r\nset l 0 0 1\r\n1\r\n");
  client.Expect("STORED\r\nSTORED\r\nSTORED\r\nSTORED\r\n");
  server.AdvanceClock(2);
  client.Send("delete d\r\n").Expect("DELETED\r\n");
  client.Send(SetRequest("l", std::string(2 << 20, 'x')))
      .Expect("SERVER_ERROR object too large for cache\r\n");
  server.AdvanceClock(2);
  client.Send("explain d\r\n").ExpectMatch("EXPLAIN d deleted cls=\\d+ age=2 idle=2 ago=2\r\n");
  client.Send("explain e\r\n").ExpectMatch("EXPLAIN e expired cls=\\d+ age=3 idle=3 ago=1\r\n");
  client.Send("explain l\r\n").ExpectMatch("EXPLAIN l too_large cls=\\d+ age=2 idle=2 ago=2\r\n");
  client.Send("flush_all\r\nexplain f\r\n")
      .ExpectMatch("OK\r\nEXPLAIN f flushed cls=\\d+ age=4 idle=4 ago=0\r\n");
  client.Send(SetRequest("new", std::string(2 << 20, 'x')))
      .Expect("SERVER_ERROR object too large for cache\r\n");
  client.Send("explain new\r\n").Expect("EXPLAIN new too_large ago=0\r\n");
}

TEST_CASE("explain tells of an eviction and of a store without memory", "[wire][explain]") {
  const bool evicts = GENERATE(true, false);
  TestServer server([&](Config& config) {
    config.memory_bytes = 1 << 20;
    config.evict = evicts;
  });
  Client client = server.Connect();
  const std::string value(1000, 'v');
  // Not many more than there is room for: what is known of the first ones is still there.
  for (int i = 0; i < 1200; ++i) {
    client.Send(SetRequest("k" + std::to_string(i), value)).ReceiveLine();
  }
  if (evicts) {
    client.Send("explain k0\r\n")
        .ExpectMatch("EXPLAIN k0 evicted cls=\\d+ age=\\d idle=\\d ago=\\d\r\n");
  } else {
    client.Send("explain k1199\r\n").ExpectMatch("EXPLAIN k1199 no_memory ago=\\d\r\n");
  }
}

TEST_CASE_METHOD(WireTest, "explain takes and gives keys in base64", "[wire][explain][base64]") {
  const std::string key = "YSBiDQo=";  // "a b", CR, LF
  client.Send("explain " + key + " b\r\n").Expect("EXPLAIN " + key + " not_seen\r\n");
  client.Send("ms " + key + " 1 b\r\nx\r\nexplain " + key + " b\r\n")
      .ExpectMatch("HD\r\nEXPLAIN " + key + " present .*\r\n");
  client.Send("md " + key + " b\r\nexplain " + key + " b\r\n")
      .ExpectMatch("HD\r\nEXPLAIN " + key + " deleted .*\r\n");
  client.Send("explain aw== b\r\n").Expect("EXPLAIN k not_seen\r\n");
}

TEST_CASE_METHOD(WireTest, "an explain without a good key is a bad line", "[wire][explain]") {
  client.Send("explain\r\nexplain \r\n").Expect(kBadLine).Expect(kBadLine);
  client.Send("explain " + std::string(251, 'k') + "\r\n").Expect(kBadLine);
  client.Send("explain k= b\r\n").Expect(kBadLine);
  client.Send("explain " + std::string(250, 'k') + "\r\n")
      .Expect("EXPLAIN " + std::string(250, 'k') + " not_seen\r\n");
  client.ExpectNothing();
}

TEST_CASE("explain answers nothing to who has not authenticated", "[wire][explain][auth]") {
  const TemporaryFolder folder;
  WriteFile(folder / "users", "alice:secret\n");
  TestServer server([&](Config& config) { config.auth_file = folder / "users"; });
  Client client = server.Connect();
  client.Send("explain k\r\n").Expect("CLIENT_ERROR unauthenticated\r\n");
}

TEST_CASE_METHOD(WireTest, "misses are counted by what became of the key", "[wire][stats]") {
  client.Send("set d 0 0 1\r\n1\r\nset e 0 1 1\r\n1\r\nset f 0 0 1\r\n1\r\nset l 0 0 1\r\n1\r\n");
  client.Expect("STORED\r\nSTORED\r\nSTORED\r\nSTORED\r\n");
  client.Send("delete d\r\n").Expect("DELETED\r\n");
  client.Send(SetRequest("l", std::string(2 << 20, 'x')))
      .Expect("SERVER_ERROR object too large for cache\r\n");
  server.AdvanceClock(2);
  // In every way to get; a touch is none, nor is an mg that creates.
  client.Send("get d d l\r\nmg e\r\nmg n1 v\r\nmg n2 N0\r\ngat 0 d\r\ntouch d 0\r\nmg d T0\r\n");
  client.Expect("END\r\nEN\r\nEN\r\nHD W\r\nEND\r\nNOT_FOUND\r\nEN\r\n");
  client.Send("flush_all\r\nget f f n3\r\n").Expect("OK\r\nEND\r\n");
  auto stats = client.Stats();
  CHECK(stats.at("get_misses_deleted") == "3");
  CHECK(stats.at("get_misses_too_large") == "1");
  CHECK(stats.at("get_misses_expired") == "1");
  CHECK(stats.at("get_misses_flushed") == "2");
  CHECK(stats.at("get_misses_not_seen") == "2");
  CHECK(stats.at("get_misses_evicted") == "0");
  CHECK(stats.at("get_misses_no_memory") == "0");
  CHECK(stats.at("get_misses") == "9");
  client.Send("stats reset\r\n").Expect("RESET\r\n");
  stats = client.Stats();
  CHECK(stats.at("get_misses_deleted") == "0");
  CHECK(stats.at("get_misses_flushed") == "0");
}

TEST_CASE("misses of evicted keys add up, in the binary protocol too", "[wire][stats][binary]") {
  TestServer server([](Config& config) { config.memory_bytes = 1 << 20; });
  Client client = server.Connect();
  const std::string value(1000, 'v');
  for (int i = 0; i < 2000; ++i) {
    client.Send(SetRequest("k" + std::to_string(i), value)).Expect("STORED\r\n");
  }
  BinaryClient binary(server.Connect());
  for (int i = 0; i < 2000; ++i) {
    (void)binary.Ask({.opcode = kGet, .key = "k" + std::to_string(i)});
  }
  const auto stats = client.Stats();
  const auto of = [&](const char* name) { return std::stoul(stats.at(name)); };
  CHECK(of("get_misses") > 1000);
  CHECK(of("get_misses_evicted") > 500);
  CHECK(of("get_misses_evicted") + of("get_misses_not_seen") == of("get_misses"));
}

}  // namespace
}  // namespace larder::wire
