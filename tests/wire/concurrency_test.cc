#include <fmt/format.h>

#include <deque>
#include <random>

#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

// Workers run side by side while this thread sends to one connection after the other, and checks
// afterwards. Values tell by their flags what they must hold, so that a mixture shows.
constexpr std::size_t kClients = 8;
constexpr std::uint32_t kSharedKeys = 40;

std::size_t BytesOf(std::uint32_t flags) {
  constexpr std::size_t kSizes[] = {3, 40, 41, 900, 5000, 9000, 30000, 140000, 300000};
  return kSizes[flags % std::size(kSizes)] + flags % 7;
}

enum class Kind { kLine, kValues, kList };

// A stream of requests, and what kind of reply each has.
struct Stream {
  std::string requests;
  std::deque<Kind> kinds;

  void Add(std::string_view request, Kind kind) {
    requests += request;
    kinds.push_back(kind);
  }
};

Stream RandomStream(std::mt19937_64& random, int count) {
  Stream stream;
  const auto below = [&](std::uint64_t bound) {
    return static_cast<std::uint32_t>(random() % bound);
  };
  for (int i = 0; i < count; ++i) {
    const std::string key = fmt::format("k{}", below(kSharedKeys));
    const std::uint32_t choice = below(100);
    if (choice < 35) {
      const std::uint32_t flags = below(below(10) == 0 ? 1000000 : 3);
      const std::string value = PatternBytes(BytesOf(flags), flags);
      const char* const verbs[] = {"set", "set", "set", "add", "replace"};
      stream.Add(
          StorageRequest({.verb = verbs[below(5)], .key = key, .value = value, .flags = flags}),
          Kind::kLine);
    } else if (choice < 75) {
      stream.Add(fmt::format("get {} k{} k{}\r\n", key, below(kSharedKeys), below(kSharedKeys)),
                 Kind::kValues);
    } else if (choice < 80) {
      stream.Add(fmt::format("gat 1000 {}\r\n", key), Kind::kValues);
    } else if (choice < 88) {
      stream.Add(fmt::format("delete {}\r\n", key), Kind::kLine);
    } else if (choice < 92) {
      stream.Add(fmt::format("touch {} 1000\r\n", key), Kind::kLine);
    } else if (choice < 97) {
      stream.Add("incr n 1\r\n", Kind::kLine);
      stream.Add(fmt::format("explain {}\r\n", key), Kind::kLine);
    } else if (choice == 97) {
      stream.Add("flush_all\r\nset n 0 0 1 noreply\r\n0\r\n", Kind::kLine);
    } else {
      const char* const lists[] = {
          "stats\r\n",       "stats items\r\n",          "stats slabs\r\n",
          "stats conns\r\n", "stats cachedump 3 10\r\n", "stats memory\r\n"};
      stream.Add(lists[below(6)], Kind::kList);
    }
  }
  return stream;
}

void CheckValues(Client& client) {
  for (std::string head = client.ReceiveLine(); head != "END\r\n"; head = client.ReceiveLine()) {
    // VALUE <key> <flags> <bytes>
    const std::size_t flags_at = head.find(' ', 6) + 1;
    const std::size_t bytes_at = head.find(' ', flags_at) + 1;
    const auto flags = static_cast<std::uint32_t>(std::stoul(head.substr(flags_at)));
    const std::size_t bytes = std::stoul(head.substr(bytes_at));
    if (bytes != BytesOf(flags)) FAIL("this must have " << BytesOf(flags) << " bytes: " << head);
    client.Expect(PatternBytes(bytes, flags) + "\r\n");
  }
}

TEST_CASE("many clients at once see whole values only", "[wire][concurrency]") {
  const std::uint64_t seed = GENERATE(take(2, random(std::uint64_t{1}, std::uint64_t{1} << 60)));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  TestServer server([](Config& config) {
    config.threads = 4;
    config.memory_bytes = 8U << 20;  // Little enough to evict, and to move pages between classes.
    config.detail_enabled = true;
    config.track_sizes = true;
  });
  std::vector<Client> clients;
  for (std::size_t i = 0; i < kClients; ++i) clients.push_back(server.Connect());
  for (int round = 0; round < 5; ++round) {
    std::vector<Stream> streams;
    for (std::size_t i = 0; i < kClients; ++i) streams.push_back(RandomStream(random, 100));
    for (std::size_t i = 0; i < kClients; ++i) clients[i].Send(streams[i].requests);
    for (std::size_t i = 0; i < kClients; ++i) {
      for (const Kind kind : streams[i].kinds) {
        if (kind == Kind::kLine) clients[i].ReceiveLine();
        if (kind == Kind::kValues) CheckValues(clients[i]);
        if (kind == Kind::kList) clients[i].ReceiveUntil("END\r\n");
      }
      clients[i].ExpectNothing();
    }
    server.AdvanceClock(1);
  }
  CHECK(clients[0].Stats().at("store_no_memory") == "0");

  // What is flushed is freed when it is looked up; then nothing may be left in use.
  std::string line = "get n";
  for (std::uint32_t i = 0; i < kSharedKeys; ++i) line += fmt::format(" k{}", i);
  clients[0].Send("flush_all\r\n" + line + "\r\n").Expect("OK\r\nEND\r\n");
  const auto stats = clients[0].Stats();
  CHECK(stats.at("curr_items") == "0");
  CHECK(stats.at("bytes") == "0");
  for (const auto& [name, used] : clients[0].Stats("slabs")) {
    if (!name.ends_with(":used_chunks")) continue;
    CAPTURE(name);
    CHECK(used == "0");
  }
  clients[0].Send("stats sizes\r\n").Expect("END\r\n");
}

TEST_CASE("clients that come and go at once lose nothing of others", "[wire][concurrency]") {
  TestServer server([](Config& config) { config.threads = 4; });
  Client steady = server.Connect();
  steady.Send(SetRequest("n", "0")).Expect("STORED\r\n");
  for (int round = 0; round < 20; ++round) {
    std::vector<Client> brief;
    for (int i = 0; i < 20; ++i) brief.push_back(server.Connect());
    for (Client& client : brief) client.Send("incr n 1\r\nset a 0 0 100000\r\nabc");
    for (Client& client : brief) client.ReceiveLine();
    for (std::size_t i = 0; i < brief.size(); i += 2) brief[i].Reset();
  }
  steady.Send("incr n 0\r\nget a\r\n").Expect("400\r\nEND\r\n");
}

}  // namespace
}  // namespace larder::wire
