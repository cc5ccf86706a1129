#include <algorithm>
#include <string>

#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

TEST_CASE_METHOD(WireTest, "lru needs a word that it knows, whole", "[wire][lru]") {
  for (const char* request : {"lru\r\n", "lru foo\r\n", "lru m flat\r\n", "lru tunes\r\n"}) {
    CAPTURE(request);
    client.Send(request).Expect("ERROR\r\n").ExpectNothing();
  }
}

TEST_CASE_METHOD(WireTest, "lru mode changes the eviction policy", "[wire][lru]") {
  CHECK(client.Stats("settings").at("eviction") == "segmented");
  CHECK(client.Stats("settings").at("lru_segmented") == "yes");
  client.Send("lru mode flat\r\n").Expect("OK\r\n");
  CHECK(client.Stats("settings").at("eviction") == "lru");
  CHECK(client.Stats("settings").at("lru_segmented") == "no");
  client.Send(" lru mode segmented noreply\r\n").ExpectNothing();
  CHECK(client.Stats("settings").at("eviction") == "segmented");
  client.Send("lru mode\r\nlru mode foo\r\n").Expect("ERROR\r\nERROR\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "lru tune moves probation's share", "[wire][lru]") {
  for (int i = 0; i < 100; ++i) {
    client.Send(SetRequest("k" + std::to_string(100 + i), "v")).Expect("STORED\r\n");
  }
  CHECK(client.Stats("items").at("items:1:target_hot") == "10");
  client.Send("lru tune 35 40 0.2 2.0\r\n").Expect("OK\r\n");
  CHECK(client.Stats("items").at("items:1:target_hot") == "35");
}

TEST_CASE_METHOD(WireTest, "lru tune refuses what memcached refuses", "[wire][lru]") {
  client.Send("lru tune 50 40 0.2 2.0\r\n")
      .Expect("ERROR hot and warm pcts must not exceed 80\r\n");
  for (const char* request :
       {"lru tune 20 40 0 2.0\r\n", "lru tune 20 40 0.2 -1\r\n", "lru tune 20 40 nan 1\r\n"}) {
    CAPTURE(request);
    client.Send(request).Expect("ERROR hot/warm age factors must be greater than 0\r\n");
  }
  for (const char* request : {"lru tune x 40 0.2 2.0\r\n", "lru tune 20 40 0.2\r\n",
                              "lru tune -1 40 0.2 2.0\r\n", "lru tune\r\n"}) {
    CAPTURE(request);
    client.Send(request).Expect("ERROR\r\n").ExpectNothing();
  }
}

TEST_CASE_METHOD(WireTest, "there is no temporary LRU to switch on", "[wire][lru]") {
  client.Send("lru temp_ttl -1\r\n").Expect("OK\r\n");
  client.Send("lru temp_ttl 60\r\n").Expect("ERROR there is no temporary LRU\r\n");
  client.Send("lru temp_ttl\r\nlru temp_ttl x\r\n").Expect("ERROR\r\nERROR\r\n").ExpectNothing();
}

TEST_CASE_METHOD(WireTest, "lru_crawler disable stops crawls and dumps, enable allows them",
                 "[wire][lru_crawler]") {
  CHECK(client.Stats("settings").at("lru_crawler") == "yes");
  CHECK(client.Stats().contains("lru_crawler_starts"));
  client.Send("lru_crawler enable\r\n").Expect("ERROR failed to start lru crawler thread\r\n");
  client.Send("lru_crawler disable\r\nlru_crawler disable\r\n").Expect("OK\r\nOK\r\n");
  CHECK(client.Stats("settings").at("lru_crawler") == "no");
  CHECK_FALSE(client.Stats().contains("lru_crawler_starts"));
  for (const char* request : {"crawl all", "crawl 1", "metadump all", "metadump x", "mgdump 5"}) {
    CAPTURE(request);
    client.Send("lru_crawler " + std::string(request) + "\r\n")
        .Expect("CLIENT_ERROR lru crawler disabled\r\n");
  }
  client.Send("lru_crawler enable\r\n").Expect("OK\r\n");
  client.Send("lru_crawler mgdump all\r\n").Expect("OK\r\nEN\r\n");
}

TEST_CASE("without lru_crawler what expired stays until somebody asks for it",
          "[wire][lru_crawler]") {
  TestServer server([](Config& config) { config.sweeps = false; });
  Client client = server.Connect();
  CHECK(client.Stats("settings").at("lru_crawler") == "no");
  client.Send("set a 0 1 1\r\nx\r\n").Expect("STORED\r\n");
  server.AdvanceClock(10);
  server.AdvanceClock(10);
  CHECK(client.Stat("curr_items") == 1);
  client.Send("get a\r\n").Expect("END\r\n");
  CHECK(client.Stat("curr_items") == 0);
  CHECK(client.Stat("crawler_items_checked") == 0);
}

TEST_CASE_METHOD(WireTest, "what expires is removed though nobody asks for it",
                 "[wire][lru_crawler]") {
  client.Send("set a 0 5 1\r\nx\r\nset b 0 5 1\r\nx\r\nset c 0 0 1\r\nx\r\nget b\r\n")
      .Expect("STORED\r\nSTORED\r\nSTORED\r\nVALUE b 0 1\r\nx\r\nEND\r\n");
  server.AdvanceClock(4);
  CHECK(client.Stat("curr_items") == 3);
  server.AdvanceClock(2);
  CHECK(client.Stat("curr_items") == 1);
  CHECK(client.Stat("crawler_reclaimed") == 2);
  CHECK(client.Stat("crawler_items_checked") >= 4);
  CHECK(client.Stat("expired_unfetched") == 1);
  CHECK(client.Stat("reclaimed") == 0);
  CHECK(client.Stat("lru_crawler_starts") >= 2);
  CHECK(client.Stats("items").at("items:1:crawler_reclaimed") == "2");
  CHECK(std::stoi(client.Stats("items").at("items:1:crawler_items_checked")) >= 4);
  client.Send("get c\r\n").Expect("VALUE c 0 1\r\nx\r\nEND\r\n");
  client.Send("stats reset\r\n").Expect("RESET\r\n");
  CHECK(client.Stat("crawler_reclaimed") == 0);
}

TEST_CASE_METHOD(WireTest, "what a touch gave an expiry is removed too", "[wire][lru_crawler]") {
  client.Send("set a 0 0 1\r\nx\r\n").Expect("STORED\r\n");
  for (int i = 0; i < 5; ++i) server.AdvanceClock(1);  // The sweep has seen that there is nothing.
  const std::string touch =
      GENERATE(as<std::string>{}, "touch a 3", "gat 3 a", "touch a -1", "mg a T3", "md a I T3");
  CAPTURE(touch);
  client.Send(touch + "\r\nmn\r\n").ReceiveUntil("MN\r\n");
  server.AdvanceClock(4);
  CHECK(client.Stat("curr_items") == 0);
}

TEST_CASE_METHOD(WireTest, "what flush_all hit is removed", "[wire][lru_crawler]") {
  for (int i = 0; i < 100; ++i) {
    client.Send(SetRequest("k" + std::to_string(i), "x")).Expect("STORED\r\n");
  }
  for (int i = 0; i < 5; ++i) server.AdvanceClock(1);
  client.Send("flush_all\r\n").Expect("OK\r\n");
  server.AdvanceClock(1);
  CHECK(client.Stat("curr_items") == 0);
  CHECK(client.Stat("crawler_reclaimed") == 100);
}

TEST_CASE_METHOD(WireTest, "lru_crawler crawl has a pass begin", "[wire][lru_crawler]") {
  client.Send(SetRequest("a", "x")).Expect("STORED\r\n");
  for (int i = 0; i < 5; ++i) server.AdvanceClock(1);
  const std::uint64_t starts = client.Stat("lru_crawler_starts");
  server.AdvanceClock(1);
  REQUIRE(client.Stat("lru_crawler_starts") == starts);
  client.Send("lru_crawler crawl 1,2,90\r\n").Expect("OK\r\n");
  server.AdvanceClock(0);
  CHECK(client.Stat("lru_crawler_starts") == starts + 1);
  client.Send("lru_crawler crawl all\r\n").Expect("OK\r\n");
}

TEST_CASE_METHOD(WireTest, "lru_crawler checks its arguments", "[wire][lru_crawler]") {
  for (const char* request : {"lru_crawler\r\n", "lru_crawler foo\r\n", "lru_crawler crawl\r\n",
                              "lru_crawler sleep\r\n", "lru_crawler metadump\r\n",
                              "lru_crawler enable now\r\n", "lru_crawler crawl all now\r\n"}) {
    CAPTURE(request);
    client.Send(request).Expect("ERROR\r\n").ExpectNothing();
  }
  for (const char* list : {"0", "x", "128", "1,999", "1,", ",1", "1,,2", "-1", "hash"}) {
    CAPTURE(list);
    client.Send("lru_crawler crawl " + std::string(list) + "\r\n")
        .Expect("BADCLASS invalid class id\r\n");
  }
  client.Send("lru_crawler metadump x\r\n").Expect("BADCLASS invalid class id\r\n");
  client.Send("lru_crawler tocrawl 9\r\nlru_crawler sleep 1000000\r\n").Expect("OK\r\nOK\r\n");
  CHECK(client.Stats("settings").at("lru_crawler_tocrawl") == "9");
  CHECK(client.Stats("settings").at("lru_crawler_sleep") == "1000000");
  client.Send("lru_crawler sleep 1000001\r\n")
      .Expect("CLIENT_ERROR sleep must be one second or less\r\n");
  for (const char* request : {"lru_crawler sleep x\r\n", "lru_crawler tocrawl x\r\n"}) {
    CAPTURE(request);
    client.Send(request).Expect("CLIENT_ERROR bad command line format\r\n");
  }
  client.Send("lru_crawler crawl all noreply\r\n").ExpectNothing();
}

// --- stats items ---------------------------------------------------------------------------------

// A server with little memory, whose keys have values of one class.
struct SmallServer {
  explicit SmallServer(slab::EvictionPolicy policy = slab::EvictionPolicy::kSegmented)
      : server([policy](server::Config& config) {
          config.memory_bytes = 1 << 20;
          config.item_bytes_max = 1 << 19;
          config.eviction = policy;
        }),
        client(server.Connect()) {}

  void Set(int first, int count) {
    std::string requests;
    for (int number = first; number < first + count; ++number) {
      requests += "set k" + std::to_string(number) + " 0 0 1000 noreply\r\n" + value + "\r\n";
    }
    client.Send(requests).ExpectNothing();
  }
  bool Get(int number) {
    const std::string key = "k" + std::to_string(number);
    client.Send("get " + key + "\r\n");
    if (client.ReceiveLine() == "END\r\n") return false;
    client.Expect(value + "\r\nEND\r\n");
    return true;
  }
  // The one class with items.
  std::uint64_t Row(const std::string& name) {
    for (const auto& [row, text] : client.Stats("items")) {
      if (row.ends_with(":" + name)) return std::stoull(text);
    }
    FAIL("no row " << name);
    return 0;
  }
  bool HasRow(const std::string& name) {
    const auto rows = client.Stats("items");
    return std::ranges::any_of(rows,
                               [&](const auto& row) { return row.first.ends_with(":" + name); });
  }

  TestServer server;
  Client client;
  const std::string value = PatternBytes(1000, 1);
};

constexpr int kFits = 900;  // Items of 1000 bytes that are held for sure.

TEST_CASE("what is read once, and is not stored again after a miss, comes to be kept long enough",
          "[wire][eviction]") {
  SmallServer small;
  // Two thirds of the memory are of no use any more.
  small.Set(0, 600);
  for (int round = 0; round < 3; ++round) {
    for (int number = 0; number < 600; ++number) REQUIRE(small.Get(number));
  }
  constexpr int kFirst = 10'000;
  constexpr int kLogins = 4000;
  constexpr int kReadAfter = 450;
  int late_hits = 0;
  for (int login = 0; login < kLogins; ++login) {
    small.Set(kFirst + login, 1);
    if (login >= kReadAfter) {
      const bool is_hit = small.Get(kFirst + login - kReadAfter);
      if (login >= kLogins - 500) late_hits += is_hit ? 1 : 0;
    }
    // As many as come in a second.
    if (login % 20 == 0) small.server.AdvanceClock(1);
  }
  CHECK(late_hits >= 490);
}

TEST_CASE("stats items tells probation as hot and main as cold", "[wire][stats][eviction]") {
  SmallServer small;
  small.Set(10'000, kFits);
  CHECK(small.Row("number") == kFits);
  CHECK(small.Row("number_hot") == kFits);
  CHECK(small.Row("number_warm") == 0);
  CHECK(small.Row("number_cold") == 0);
  CHECK(small.Row("evicted") == 0);
  CHECK(small.Row("ghost_bytes") == 0);
  for (int number = 10'000; number < 10'600; number += 6) CHECK(small.Get(number));
  small.server.AdvanceClock(7);
  CHECK(small.Row("age_hot") == 7);
  small.Set(20'000, kFits);
  // A new key is taken for a ghost once in some thousands of times.
  const std::uint64_t false_ghosts = small.Row("ghosts_hot");
  CHECK(false_ghosts <= 3);
  CHECK(small.Row("number_cold") == 100 + false_ghosts);
  CHECK(small.Row("moves_to_cold") == 100);
  CHECK(small.Row("age") == 7);
  CHECK(small.Row("number") == small.Row("number_hot") + small.Row("number_cold"));
  CHECK(small.Row("evicted") == 2 * kFits - small.Row("number"));
  CHECK(small.Row("evicted_hot") == small.Row("evicted"));
  CHECK(small.Row("evicted_cold") == 0);
  CHECK(small.Row("evicted_active") == 0);
  CHECK(small.Row("evicted_for_page") == 0);
  CHECK(small.Row("evicted_unfetched") == small.Row("evicted"));
  CHECK(small.Row("direct_reclaims") == small.Row("evicted"));
  CHECK(small.Row("ghost_bytes") > 3 * small.Row("number"));
  CHECK(small.client.Stat("moves_to_cold") == 100);
  for (int number = 10'000; number < 10'600; number += 6) CHECK(small.Get(number));
}

TEST_CASE("a key that was evicted and comes back is a ghost in stats items",
          "[wire][stats][eviction]") {
  SmallServer small;
  small.Set(10'000, kFits + 300);
  const std::uint64_t target = small.Row("target_hot");
  const std::uint64_t evicted = small.Row("evicted");
  REQUIRE(evicted > 100);
  small.Set(10'000 + static_cast<int>(evicted) - 50, 50);
  CHECK(small.Row("ghosts_hot") >= 45);
  CHECK(small.Row("number_cold") == small.Row("ghosts_hot"));
  CHECK(small.Row("target_hot") >= target + 45);
  CHECK(small.Row("ghosts_cold") == 0);
}

TEST_CASE("stats items counts a page's evictions apart", "[wire][stats][eviction]") {
  SmallServer small;
  small.Set(10'000, kFits + 200);
  const std::uint64_t before = small.Row("evicted");
  small.client.Send(SetRequest("large", PatternBytes(100'000, 2))).Expect("STORED\r\n");
  const auto rows = small.client.Stats("items");
  std::uint64_t for_page = 0;
  std::uint64_t evicted = 0;
  for (const auto& [row, text] : rows) {
    if (row.ends_with(":evicted_for_page")) for_page += std::stoull(text);
    if (row.ends_with(":evicted")) evicted += std::stoull(text);
  }
  CHECK(for_page > 100);
  CHECK(evicted == before + for_page);
}

TEST_CASE("a scan does not drive out what is used", "[wire][eviction]") {
  SmallServer small;
  small.Set(10'000, kFits);
  for (int number = 10'000; number < 10'600; number += 3) REQUIRE(small.Get(number));
  for (int scan = 0; scan < 10; ++scan) small.Set(100'000 + scan * kFits, kFits);
  int left = 0;
  for (int number = 10'000; number < 10'600; number += 3) left += small.Get(number);
  CHECK(left == 200);
}

TEST_CASE("under -o eviction=lru the last used stay, and there are no segments",
          "[wire][stats][eviction]") {
  SmallServer small(slab::EvictionPolicy::kLru);
  CHECK(small.client.Stats("settings").at("eviction") == "lru");
  small.Set(10'000, kFits);
  for (int number = 10'000; number < 10'200; ++number) REQUIRE(small.Get(number));
  small.Set(20'000, kFits - 300);
  for (int number = 10'000; number < 10'200; ++number) CHECK(small.Get(number));
  CHECK_FALSE(small.Get(10'201));
  CHECK_FALSE(small.HasRow("number_hot"));
  CHECK_FALSE(small.HasRow("moves_to_cold"));
  CHECK_FALSE(small.client.Stats().contains("moves_to_cold"));
  // A scan does drive them out.
  small.Set(100'000, 2 * kFits);
  for (int number = 10'000; number < 10'200; ++number) CHECK_FALSE(small.Get(number));
}

}  // namespace
}  // namespace larder::wire
