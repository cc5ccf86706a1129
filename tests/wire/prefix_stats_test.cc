#include <fmt/format.h>

#include <cstdint>
#include <string>

#include "server/config/config.h"
#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

// All clients on one worker, which counts by prefix.
struct PrefixTest {
  TestServer server{[](Config& config) {
    config.threads = 1;
    config.count_prefixes = true;
  }};
  Client client = server.Connect();
};

TEST_CASE_METHOD(PrefixTest, "stats prefixes has six rows for each prefix, and for the others",
                 "[wire][stats][prefix]") {
  client.Send("stats prefixes\r\n")
      .Expect(
          "STAT prefixes 0\r\nSTAT others:items 0\r\nSTAT others:bytes 0\r\n"
          "STAT others:memory 0\r\nSTAT others:hits 0\r\nSTAT others:misses 0\r\n"
          "STAT others:evictions 0\r\nEND\r\n");
  client.Send("set user:1 0 0 3\r\nabc\r\nset user:2 0 0 3\r\nabc\r\nset plain 0 0 1\r\nx\r\n")
      .Expect("STORED\r\nSTORED\r\nSTORED\r\n");
  const auto rows = client.Stats("prefixes");
  CHECK(rows.size() == 1 + 6 * 2);
  CHECK(rows.at("prefixes") == "1");
  CHECK(rows.at("prefix:user:items") == "2");
  CHECK(rows.at("prefix:user:bytes") == "66");
  CHECK(rows.at("prefix:user:memory") == "80");
  CHECK(rows.at("others:items") == "1");
  client.Send("delete user:1\r\n").Expect("DELETED\r\n");
  CHECK(client.Stats("prefixes").at("prefix:user:items") == "1");
}

TEST_CASE_METHOD(PrefixTest, "gets that come one at a time are counted exactly, by all commands",
                 "[wire][stats][prefix]") {
  client.Send("set user:1 0 0 1\r\nx\r\n").Expect("STORED\r\n");
  for (const std::string_view hit : {"get user:1\r\n", "gets user:1\r\n", "gat 0 user:1\r\n"}) {
    client.Send(hit);
    client.ReceiveUntil("END\r\n");
  }
  client.Send("mg user:1 v\r\n").Expect("VA 1\r\nx\r\n");
  client.Send("mg user:1 T30\r\n").Expect("HD\r\n");
  client.Send("get user:2\r\n").Expect("END\r\n");
  client.Send("mg user:2 v\r\n").Expect("EN\r\n");
  client.Send("get nobody:2\r\n").Expect("END\r\n");
  // These retrieve nothing.
  client.Send("touch user:1 0\r\n").Expect("TOUCHED\r\n");
  client.Send("touch user:3 0\r\n").Expect("NOT_FOUND\r\n");
  client.Send("incr user:3 1\r\n").Expect("NOT_FOUND\r\n");
  client.Send("ms user:1 1\r\ny\r\n").Expect("HD\r\n");
  const auto rows = client.Stats("prefixes");
  CHECK(rows.at("prefix:user:hits") == "5");
  CHECK(rows.at("prefix:user:misses") == "2");
  CHECK(rows.at("others:hits") == "0");
  CHECK(rows.at("others:misses") == "1");
}

TEST_CASE_METHOD(PrefixTest, "in pipelines hits and misses are estimated",
                 "[wire][stats][prefix]") {
  client.Send("set user:1 0 0 1\r\nx\r\n").Expect("STORED\r\n");
  client.Send("set page:1 0 0 1\r\nx\r\n").Expect("STORED\r\n");
  // Of four gets, always in the same order, two are hits of pages, and one is a miss of a user.
  constexpr int kRounds = 8000;
  std::string gets;
  for (int i = 0; i < kRounds; ++i) gets += "get user:1 page:1 page:1 user:2\r\n";
  client.Send(gets);
  for (int i = 0; i < kRounds; ++i) client.ReceiveUntil("END\r\n");
  const auto rows = client.Stats("prefixes");
  CHECK(std::stod(rows.at("prefix:user:hits")) == Approx(kRounds).epsilon(0.25));
  CHECK(std::stod(rows.at("prefix:user:misses")) == Approx(kRounds).epsilon(0.25));
  CHECK(std::stod(rows.at("prefix:page:hits")) == Approx(2 * kRounds).epsilon(0.25));
  CHECK(rows.at("prefix:page:misses") == "0");
  CHECK(rows.at("others:hits") == "0");
}

TEST_CASE("stats reset keeps what prefixes have and clears what they did",
          "[wire][stats][prefix]") {
  TestServer server([](Config& config) {
    config.memory_bytes = std::uint64_t{1} << 20;
    config.count_prefixes = true;
  });
  Client client = server.Connect();
  for (int i = 0; i < 3000; ++i) {
    client.Send(SetRequest(fmt::format("user:{}", i), PatternBytes(500, 1))).Expect("STORED\r\n");
  }
  client.Send("get user:x\r\n").Expect("END\r\n");
  const auto before = client.Stats("prefixes");
  CHECK(std::stoul(before.at("prefix:user:items")) +
            std::stoul(before.at("prefix:user:evictions")) ==
        3000);
  CHECK(before.at("prefix:user:evictions") == client.Stats().at("evictions"));
  CHECK(before.at("prefix:user:misses") == "1");
  client.Send("stats reset\r\n").Expect("RESET\r\n");
  const auto after = client.Stats("prefixes");
  CHECK(after.at("prefix:user:items") == before.at("prefix:user:items"));
  CHECK(after.at("prefix:user:memory") == before.at("prefix:user:memory"));
  CHECK(after.at("prefix:user:evictions") == "0");
  CHECK(after.at("prefix:user:misses") == "0");
}

TEST_CASE("-D sets the delimiter, and prefixes are percent-encoded", "[wire][stats][prefix]") {
  TestServer server([](Config& config) {
    config.prefix_delimiter = '/';
    config.count_prefixes = true;
  });
  Client client = server.Connect();
  client.Send("set a:b%/1 0 0 1\r\nx\r\n").Expect("STORED\r\n");
  CHECK(client.Stats("prefixes").at("prefix:a%3Ab%25:items") == "1");
}

TEST_CASE("stats prefixes says that it is switched off, or not allowed", "[wire][stats][prefix]") {
  TestServer off;
  Client client = off.Connect();
  client.Send("set user:1 0 0 1\r\nx\r\nget user:1\r\nstats prefixes\r\n")
      .Expect("STORED\r\nVALUE user:1 0 1\r\nx\r\nEND\r\nSTAT prefixes_status disabled\r\nEND\r\n");
  CHECK(client.Stats("settings").at("prefix_stats") == "no");
  TestServer forbidden([](Config& config) {
    config.dump_enabled = false;
    config.count_prefixes = true;
  });
  forbidden.Connect()
      .Send("stats prefixes\r\n")
      .Expect("STAT prefixes_status not allowed\r\nEND\r\n");
}

}  // namespace
}  // namespace larder::wire
