#include <fmt/format.h>
#include <malloc.h>

#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>

#include "tests/mebibyte.h"
#include "tests/sanitizers.h"
#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

using Rows = std::map<std::string, std::int64_t>;

constexpr const char* kParts[] = {
    "arena",         "index",         "ghosts",      "departures",     "drops",
    "page_table",    "input_buffers", "connections", "output_buffers", "unfinished_input",
    "pending_output"};

// Sanitizers keep memory of their own for all that is touched.
constexpr bool kIsRssOurs = !kHasAddressSanitizer && !kHasThreadSanitizer;

class MemoryTest {
 protected:
  // What this process freed before, in other tests too, is given back first: it would come under
  // `other`, and would be used for parts later.
  Rows Memory() {
    malloc_trim(0);
    Rows rows;
    for (const auto& [name, value] : client.Stats("memory")) rows[name] = std::stoll(value);
    return rows;
  }
  // The parts make up the whole.
  static void CheckSums(const Rows& rows) {
    std::int64_t sum = rows.at("other");
    for (const char* part : kParts) sum += rows.at(part);
    CHECK(sum == rows.at("rss"));
    CHECK(rows.at("arena") == rows.at("arena_items") + rows.at("arena_slack") +
                                  rows.at("arena_free_chunks") + rows.at("arena_page_tails") +
                                  rows.at("arena_free_pages") + rows.at("arena_ahead") -
                                  rows.at("arena_untouched"));
    CHECK(rows.at("staged_uploads") <= rows.at("unfinished_input"));
    CHECK(rows.size() == std::size(kParts) + 13);
    for (const auto& [name, bytes] : rows) {
      CAPTURE(name);
      if (kIsRssOurs || name != "other") CHECK(bytes >= 0);
    }
  }
  void Fill(int count, std::size_t value_bytes) {
    const std::string value(value_bytes, 'v');
    std::string requests;  // Not many at once: it is of this process too.
    for (int i = 0; i < count; ++i) {
      requests +=
          fmt::format("set {}:{} 0 0 {} noreply\r\n{}\r\n", value_bytes, i, value_bytes, value);
      if (i % 500 != 499 && i != count - 1) continue;
      client.Send(requests + "mn\r\n").Expect("MN\r\n");
      requests.clear();
    }
  }

  TestServer server;
  Client client = server.Connect();
};

// The statistics of memory are signed numbers.
constexpr auto kSignedMiB = static_cast<std::int64_t>(kMiB);

TEST_CASE_METHOD(MemoryTest, "the parts of the memory make up the process",
                 "[wire][stats][memory]") {
  const Rows empty = Memory();
  CheckSums(empty);
  CHECK(empty.at("arena_items") == 0);
  CHECK(empty.at("ghosts") == 0);
  CHECK(empty.at("departures") == 0);
  CHECK(empty.at("input_buffers") > server.config().threads * (64 << 10));
  CHECK(empty.at("connections") > 0);

  Fill(100'000, 200);
  const Rows filled = Memory();
  CheckSums(filled);
  CHECK(filled.at("arena_items") == static_cast<std::int64_t>(client.Stat("bytes")));
  CHECK(filled.at("arena_items") > 20 * kSignedMiB);
  CHECK(filled.at("index_used") >= 100'000 * 64 / 8);
  CHECK(filled.at("index") >= filled.at("index_used"));
  if (kIsRssOurs) {
    CHECK(filled.at("rss") > empty.at("rss") + 20 * kSignedMiB);
    // So all that came is in the parts that have a name.
    CHECK(std::abs(filled.at("other") - empty.at("other")) < 3 * kSignedMiB);
  }
}

TEST_CASE_METHOD(MemoryTest, "what is freed, evicted and given back is told",
                 "[wire][stats][memory]") {
  Fill(400'000, 200);
  const Rows full = Memory();
  CheckSums(full);
  CHECK(full.at("arena_items") + full.at("arena_slack") + full.at("arena_free_chunks") +
            full.at("arena_page_tails") + full.at("arena_free_pages") ==
        64 * kSignedMiB);
  CHECK(full.at("ghosts") > kSignedMiB / 4);
  CHECK(full.at("departures") > 64 * kSignedMiB / 120);
  CHECK(full.at("departures") <= 64 * kSignedMiB / 100 + 4096);
  CHECK(full.at("arena_free_chunks") < 2 * kSignedMiB);

  client.Send("flush_all\r\ncache_memlimit 16\r\n").Expect("OK\r\nOK\r\n");
  for (int i = 0; i < 5; ++i) server.AdvanceClock(1);
  const Rows lowered = Memory();
  CheckSums(lowered);
  CHECK(lowered.at("arena") <= 17 * kSignedMiB);
  CHECK(lowered.at("arena_untouched") >= 47 * kSignedMiB);
  CHECK(lowered.at("departures") <= 16 * kSignedMiB / 100 + 4096);
  if (kIsRssOurs) {
    CHECK(lowered.at("rss") < full.at("rss") - 40 * kSignedMiB);
    CHECK(std::abs(lowered.at("other") - full.at("other")) < 3 * kSignedMiB);
  }
}

TEST_CASE_METHOD(MemoryTest, "the room is what any size can get before something live goes",
                 "[wire][stats][memory]") {
  constexpr std::int64_t kPage = 256 << 10;
  CHECK(Memory().at("arena_room") == 64 * kSignedMiB);
  Fill(1000, 200);
  CHECK(Memory().at("arena_room") == 64 * kSignedMiB - kPage);
  Fill(400'000, 200);
  CHECK(Memory().at("arena_room") < kPage);
  // Every second one of what is there goes, so that no page is empty.
  int gone = 0;
  std::string requests;
  for (int i = 0; i < 400'000; i += 2) {
    requests += fmt::format("delete 200:{}\r\n", i);
    if (i % 1000 != 998) continue;
    client.Send(requests + "mn\r\n");
    const std::string replies = client.ReceiveUntil("MN\r\n");
    for (std::size_t at = 0; (at = replies.find("DELETED", at)) != std::string::npos; ++at) ++gone;
    requests.clear();
  }
  REQUIRE(gone > 50'000);
  const std::int64_t room = Memory().at("arena_room");
  CHECK(room > gone * std::int64_t{200} - kPage);
  // Values of another size get it, and nothing is evicted meanwhile.
  const std::uint64_t evicted = client.Stat("evictions");
  const auto fits = static_cast<int>(room / kPage * (kPage / 2000));
  Fill(fits, 1900);
  CHECK(client.Stat("evictions") == evicted);
  CHECK(Memory().at("arena_room") < 2 * kPage);
}

TEST_CASE_METHOD(MemoryTest, "slack is what items leave of their chunks", "[wire][stats][memory]") {
  client.Send(SetRequest("k", std::string(1500, 'v'))).Expect("STORED\r\n");
  const Rows rows = Memory();
  const auto slabs = client.Stats("slabs");
  std::int64_t chunks = 0;
  for (const auto& [name, value] : slabs) {
    if (!name.ends_with(":used_chunks") || value != "1") continue;
    chunks += std::stoll(slabs.at(name.substr(0, name.find(':')) + ":chunk_size"));
  }
  CHECK(rows.at("arena_items") == 24 + 1 + 1500);
  CHECK(rows.at("arena_items") + rows.at("arena_slack") == chunks);
}

TEST_CASE_METHOD(MemoryTest, "the most that replies took at once is told to the byte",
                 "[wire][stats][memory]") {
  client.Send(SetRequest("k", std::string(4000, 'v'))).Expect("STORED\r\n");
  std::string gets;
  std::string replies;
  for (int i = 0; i < 10; ++i) {
    gets += "get k\r\n";
    replies += "VALUE k 0 4000\r\n" + std::string(4000, 'v') + "\r\nEND\r\n";
  }
  // Nobody else is ready: all of it is one turn.
  client.Send(gets).Expect(replies);
  const auto most = static_cast<std::int64_t>(replies.size());
  CHECK(Memory().at("output_buffers") == most);
  client.Send("get k\r\n").Expect(replies.substr(0, replies.size() / 10));
  CHECK(Memory().at("output_buffers") == most);
}

TEST_CASE_METHOD(MemoryTest, "what connections hold is told, and given back with them",
                 "[wire][stats][memory]") {
  const Rows before = Memory();
  CHECK(before.at("unfinished_input") == 0);
  CHECK(before.at("pending_output") == 0);
  {
    Client unfinished = server.Connect();
    unfinished.Send("get " + std::string(1000, ' '));
    Client slow = server.ConnectSlow();
    client.Send(SetRequest("k", std::string(4000, 'v'))).Expect("STORED\r\n");
    std::string gets;
    for (int i = 0; i < 100'000; ++i) gets += "get k\r\n";
    slow.SendWithoutReading(gets);
    server.Settle();
    const Rows held = Memory();
    CheckSums(held);
    // What a slice of a turn made and the socket did not take: others are ready all the time.
    CHECK(held.at("pending_output") > 0);
    CHECK(held.at("output_buffers") > 30'000);
    CHECK(held.at("connections") > before.at("connections"));
  }
  server.Settle();
  const Rows after = Memory();
  CHECK(after.at("unfinished_input") == 0);
  CHECK(after.at("pending_output") == 0);
}

TEST_CASE_METHOD(MemoryTest, "a request that came in part is held", "[wire][stats][memory]") {
  Client unfinished = server.Connect();
  unfinished.Send("set k 0 0 " + std::string(1000, '0'));
  server.Settle();
  CHECK(Memory().at("unfinished_input") >= 1010);
  unfinished.Send("1\r\nx\r\n").ReceiveLine();
  CHECK(Memory().at("unfinished_input") == 0);
}

TEST_CASE_METHOD(MemoryTest, "a reset leaves memory as it is", "[wire][stats][memory]") {
  Fill(1000, 200);
  const Rows before = Memory();
  client.Send("stats reset\r\n").Expect("RESET\r\n");
  const Rows after = Memory();
  CHECK(after.at("arena_items") == before.at("arena_items"));
  CHECK(after.at("connections") == before.at("connections"));
  CHECK(after.at("input_buffers") == before.at("input_buffers"));
}

}  // namespace
}  // namespace larder::wire
