#include "server/input/upload.h"

#include <unistd.h>

#include <deque>

#include "tests/wire/binary_fixture.h"
#include "tests/wire/fixture.h"

namespace larder::wire {
namespace {

constexpr std::size_t kValueBytes = 1'000'000;
constexpr std::uint64_t kMemoryBytes = std::uint64_t{64} << 20;

// A server with one worker, whose memory is full of small items. Nothing is staged beyond what an
// upload always keeps: its values wait for the cache's memory.
struct FullCache {
  FullCache() {
    std::string sets;
    for (int i = 0; i < kItems; ++i) {
      sets += StorageRequest({.key = "k" + std::to_string(i), .value = value, .rest = "noreply"});
    }
    client.Send(sets).ExpectNothing();
    items = client.Stat("curr_items");
    REQUIRE(client.Stat("evictions") > 0);
  }

  static constexpr int kItems = 70'000;
  const std::string value = std::string(1000, 'v');
  TestServer server{[](Config& config) {
    config.threads = 1;
    config.memory_bytes = kMemoryBytes;
    config.upload_staging_megabytes = 0;
  }};
  Client client = server.Connect();
  std::uint64_t items = 0;
};

std::uint64_t HeldBytes(Client& client) {
  return std::stoull(client.Stats("memory").at("unfinished_uploads"));
}

// The line of a store, in each protocol.
std::string AnnouncementOf(std::string_view protocol, const std::string& key,
                           std::size_t value_bytes = kValueBytes) {
  if (protocol == "binary") {
    return Packet{.opcode = kSet,
                  .extras = std::string(8, '\0'),
                  .key = key,
                  .body_bytes = static_cast<std::uint32_t>(8 + key.size() + value_bytes)}
        .Request();
  }
  const std::string bytes = std::to_string(value_bytes);
  return protocol == "meta" ? "ms " + key + " " + bytes + "\r\n"
                            : "set " + key + " 0 0 " + bytes + "\r\n";
}

TEST_CASE_METHOD(FullCache, "values that are announced and do not come take nothing from others",
                 "[wire][upload]") {
  const std::string protocol = GENERATE("text", "meta", "binary");
  CAPTURE(protocol);
  std::deque<Client> stalled;
  for (int i = 0; i < 80; ++i) {
    stalled.push_back(server.Connect());
    stalled.back().Send(AnnouncementOf(protocol, "u" + std::to_string(i)) + "x").ExpectSilence();
  }
  CHECK(HeldBytes(client) == 0);
  CHECK(client.Stat("curr_items") == items);
  // Stores of others, large ones too, find room at once.
  for (int i = 0; i < 5; ++i) {
    client.Send(SetRequest("large" + std::to_string(i), PatternBytes(kValueBytes, 1)));
    client.Expect("STORED\r\n");
    client.Send(SetRequest("small", "x")).Expect("STORED\r\n");
  }
  CHECK(client.Stat("curr_items") > items * 85 / 100);
}

TEST_CASE_METHOD(FullCache, "values that come in part hold no more than their share",
                 "[wire][upload]") {
  struct Form {
    std::size_t value_bytes;
    std::size_t came;
  };
  // Two values of 100,000 bytes take a page, which has room for 262,144.
  const Form form = GENERATE(Form{kValueBytes, 40'000}, Form{kValueBytes, 500'000},
                             Form{100'000, 40'000}, Form{70'000, 40'000});
  CAPTURE(form.value_bytes, form.came);
  const std::string part = PatternBytes(form.came, 1);
  std::deque<Client> stalled;
  for (int i = 0; i < 50; ++i) {
    stalled.push_back(server.Connect());
    stalled.back().SendWithoutReading(
        AnnouncementOf("text", "u" + std::to_string(i), form.value_bytes) + part);
  }
  server.Settle();
  const std::uint64_t share = kMemoryBytes * server.config().upload_memory_percent / 100;
  CHECK(HeldBytes(client) > share / 2);
  CHECK(HeldBytes(client) <= share);
  CHECK(client.Stat("upload_waits") > 0);
  CHECK(client.Stat("curr_items") > items * 95 / 100);
  for (int i = 0; i < 100; ++i) client.Send(SetRequest("small", "x")).Expect("STORED\r\n");

  // One that sends gets its share from those that do not.
  Client honest = server.Connect();
  honest.SendWithoutReading(SetRequest("honest", PatternBytes(kValueBytes, 2)));
  for (int i = 0; i < 30 && client.Send("mg honest\r\n").ReceiveLine() == "EN\r\n"; ++i) {
    server.AdvanceClock(3);
    usleep(300'000);  // Uploads are looked at four times a second.
  }
  honest.Expect("STORED\r\n");
  CHECK(client.Stat("upload_kicks") > 0);
}

TEST_CASE("uploads that wait for each other's memory all come through", "[wire][upload]") {
  const std::uint32_t staging = GENERATE(0u, 1u, 9u, 16u);
  CAPTURE(staging);
  // The share is that of two of them.
  TestServer server([&](Config& config) {
    config.threads = 2;
    config.memory_bytes = kMemoryBytes;
    config.upload_staging_megabytes = staging;
  });
  Client client = server.Connect();
  std::vector<std::string> requests;
  std::deque<Client> clients;
  for (std::uint32_t i = 0; i < 12; ++i) {
    requests.push_back(SetRequest("k" + std::to_string(i), PatternBytes(kValueBytes, i)) +
                       "mn\r\n");
    clients.push_back(server.Connect());
  }
  constexpr std::size_t kPiece = 100'000;
  for (std::size_t at = 0; at < requests[0].size() + kPiece; at += kPiece) {
    for (std::size_t i = 0; i < requests.size(); ++i) {
      if (at < requests[i].size())
        clients[i].Send(std::string_view(requests[i]).substr(at, kPiece));
    }
  }
  for (Client& each : clients) each.Expect("STORED\r\nMN\r\n").ExpectNothing();
  for (std::uint32_t i = 0; i < 12; ++i) {
    const std::string key = "k" + std::to_string(i);
    client.Send("get " + key + "\r\n").Expect(ValueReply(key, PatternBytes(kValueBytes, i)));
    client.Expect("END\r\n");
  }
  CHECK(HeldBytes(client) == 0);
}

TEST_CASE_METHOD(FullCache, "clients that vanish in the middle of values leave nothing behind",
                 "[wire][upload]") {
  const std::string part = PatternBytes(40'000, 1);
  for (int round = 0; round < 3; ++round) {
    std::deque<Client> leaving;
    for (int i = 0; i < 12; ++i) {
      leaving.push_back(server.Connect());
      leaving.back().SendWithoutReading(AnnouncementOf("text", "u") + part);
    }
    server.Settle();
    CHECK(HeldBytes(client) > 0);
    for (Client& each : leaving) each.Reset();
    client.Send(SetRequest("honest", PatternBytes(kValueBytes, 2))).Expect("STORED\r\n");
  }
  CHECK(HeldBytes(client) == 0);
  CHECK(client.Stats("memory").at("unfinished_input") == "0");
}

TEST_CASE("a value of which nothing comes for upload_timeout is given up", "[wire][upload]") {
  TestServer server([](Config& config) {
    config.threads = 1;
    config.upload_timeout_s = 20;
  });
  Client client = server.Connect();
  Client stalled = server.Connect();
  Client busy = server.Connect();
  stalled.Send("set a 0 0 10\r\nabc").ExpectSilence();
  busy.Send("set b 0 0 10\r\nabc").ExpectSilence();
  server.AdvanceClock(15);
  busy.Send("def").ExpectSilence();
  server.AdvanceClock(15);
  stalled.ExpectClosed();
  busy.Send("ghij\r\n").Expect("STORED\r\n");
  CHECK(client.Stat("upload_kicks") == 1);
  CHECK(client.Stats("memory").at("unfinished_input") == "0");
}

TEST_CASE_METHOD(WireTest, "values that came in part leave nothing in the count of input",
                 "[wire][upload]") {
  const std::string set = SetRequest("a", "0123456789");
  for (int i = 0; i < 100; ++i) {
    client.SendInPieces({set.substr(0, set.size() - 5), set.substr(set.size() - 5)});
    client.Expect("STORED\r\n");
  }
  CHECK(client.Stats("memory").at("unfinished_input") == "0");
}

TEST_CASE_METHOD(WireTest, "values about the size that is staged are stored as they were sent",
                 "[wire][upload]") {
  std::uint32_t seed = 0;
  for (const std::size_t bytes :
       {server::kStagedBytesMax - 1, server::kStagedBytesMax, server::kStagedBytesMax + 1,
        2 * server::kStagedBytesMax, std::size_t{100'000}}) {
    const std::string request = SetRequest("a", PatternBytes(bytes, ++seed), 7);
    const std::size_t head = request.find('\n') + 1;
    for (const std::size_t first : {std::size_t{1}, bytes / 2, server::kStagedBytesMax - 1,
                                    server::kStagedBytesMax, bytes - 1, bytes, bytes + 1}) {
      if (first > bytes + 1) continue;
      CAPTURE(bytes, first);
      const std::string_view all = request;
      client.SendInPieces({all.substr(0, head + first), all.substr(head + first)});
      client.Expect("STORED\r\n").Send("get a\r\n");
      client.Expect(ValueReply("a", PatternBytes(bytes, seed), 7) + "END\r\n");
    }
  }
}

TEST_CASE("beside stalled uploads large values of others are stored, whichever worker has them",
          "[wire][upload]") {
  const int threads = GENERATE(1, 2, 3);
  const std::uint32_t staging = GENERATE(0u, 8u);
  TestServer server([&](Config& config) {
    config.threads = threads;
    config.memory_bytes = kMemoryBytes;
    config.upload_staging_megabytes = staging;
  });
  // More has come of each than is kept for it without memory.
  constexpr std::size_t kCame = 100'000;
  const std::string stalled = SetRequest("stalled", PatternBytes(kValueBytes, 1)).substr(0, kCame);
  std::deque<Client> stalling;
  for (int i = 0; i < 60; ++i) {
    stalling.push_back(server.Connect());
    stalling.back().Send(stalled);
  }
  server.Settle();
  // More than there are workers, which get them in turn.
  for (int i = 0; i < 2 * threads; ++i) {
    const std::size_t bytes = i % 2 == 0 ? 100'000 : 500'000;
    CAPTURE(threads, staging, i, bytes);
    Client client = server.Connect();
    client.Send(SetRequest("own", PatternBytes(bytes, 2))).Expect("STORED\r\n");
  }
}

std::uint64_t StagedBytes(Client& client) {
  return std::stoull(client.Stats("memory").at("staged_uploads"));
}

// So many values of which `came` bytes have arrived each.
std::deque<Client> Unfinished(TestServer& server, int count, std::size_t came,
                              std::string_view protocol = "text") {
  const std::string part = PatternBytes(came, 1);
  std::deque<Client> clients;
  for (int i = 0; i < count; ++i) {
    clients.push_back(server.Connect());
    clients.back().SendWithoutReading(AnnouncementOf(protocol, "u" + std::to_string(i)) + part);
  }
  server.Settle();
  return clients;
}

TEST_CASE("values that come slowly hold up nobody else's", "[wire][upload]") {
  const std::string protocol = GENERATE("text", "meta", "binary");
  const int threads = GENERATE(1, 3);
  CAPTURE(protocol, threads);
  TestServer server([&](Config& config) {
    config.threads = threads;
    config.memory_bytes = kMemoryBytes;
  });
  Client client = server.Connect();
  std::deque<Client> slow = Unfinished(server, 12, 900'000, protocol);
  CHECK(StagedBytes(client) > 8'000'000);
  for (int i = 0; i < 6; ++i) {
    Client other = server.Connect();
    other.Send(SetRequest("own", PatternBytes(200'000, 2))).Expect("STORED\r\n");
  }
  CHECK(client.Stat("upload_waits") == 0);
  CHECK(client.Stat("upload_kicks") == 0);

  // The slow ones come through, too.
  const bool is_binary = protocol == "binary";
  const std::string whole = PatternBytes(kValueBytes, 1);
  const std::string reply = is_binary            ? Packet{.opcode = kSet}.Reply()
                            : protocol == "meta" ? "HD\r\n"
                                                 : "STORED\r\n";
  for (std::size_t i = 0; i < slow.size(); ++i) {
    slow[i].Send(whole.substr(900'000) + (is_binary ? "" : "\r\n"));
    // The CAS value is the only part of the reply that is not known.
    CHECK(slow[i].ReceiveBytes(reply.size()).substr(0, 16) == reply.substr(0, 16));
    client.Send("mg u" + std::to_string(i) + " v\r\n");
    client.Expect("VA 1000000\r\n" + whole + "\r\n");
  }
  CHECK(StagedBytes(client) == 0);
  CHECK(client.Stats("memory").at("unfinished_input") == "0");
}

TEST_CASE("values that are staged stay within their limit", "[wire][upload]") {
  TestServer server([](Config& config) {
    config.threads = 2;
    config.memory_bytes = kMemoryBytes;
    config.upload_staging_megabytes = 8;
  });
  Client client = server.Connect();
  std::deque<Client> stalled = Unfinished(server, 40, 600'000);
  CHECK(StagedBytes(client) > 5'000'000);
  CHECK(StagedBytes(client) <= 8u << 20);
  CHECK(client.Stat("upload_waits") > 0);
  client.Send(SetRequest("small", "x")).Expect("STORED\r\n");
  // A value of which nothing more comes loses what it holds to those that wait.
  client.Send(SetRequest("large", PatternBytes(500'000, 2))).Expect("STORED\r\n");
  for (Client& each : stalled) each.Reset();
  server.Settle();
  CHECK(StagedBytes(client) == 0);
}

TEST_CASE("a value that was staged is stored and refused like any other", "[wire][upload]") {
  TestServer server([](Config& config) {
    config.threads = 1;
    config.memory_bytes = kMemoryBytes;
  });
  // They hold so much of the cache's share that none of the others finds enough.
  const std::deque<Client> first = Unfinished(server, 2, 600'000);
  Client watching = server.Connect();
  Client client = server.Connect();
  const std::string value = PatternBytes(1'000'000, 3);
  const auto send = [&](const std::string& line, const std::string& end) {
    client.Send(line + "\r\n" + value.substr(0, 500'000)).ExpectSilence();
    CHECK(StagedBytes(watching) > 0);
    client.Send(value.substr(500'000) + end);
  };
  client.Send(SetRequest("a", "old")).Expect("STORED\r\n");
  send("set a 0 0 1000000", "xx");
  client.Expect(kBadDataChunk);
  client.Send("get a\r\n").Expect(ValueReply("a", "old") + "END\r\n");
  send("add a 0 0 1000000", "\r\n");
  client.Expect("NOT_STORED\r\n");
  send("cas a 0 0 1000000 12345", "\r\n");
  client.Expect("EXISTS\r\n");
  send("append a 0 0 1000000", "\r\n");
  client.Expect("STORED\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", "old" + value) + "END\r\n");
  send("replace a 5 0 1000000 noreply", "\r\nmn\r\n");
  client.Expect("MN\r\n");
  client.Send("get a\r\n").Expect(ValueReply("a", value, 5) + "END\r\n");
  CHECK(StagedBytes(watching) == 0);
}

TEST_CASE("a large value gets its memory beside a stream of smaller ones", "[wire][upload]") {
  // It needs more than the share, so all others have to have ended.
  const std::uint32_t staging = GENERATE(0u, 2u, 16u);
  CAPTURE(staging);
  TestServer server([&](Config& config) {
    config.threads = 2;
    config.memory_bytes = kMemoryBytes;
    config.upload_staging_megabytes = staging;
    config.item_bytes_max = 8 << 20;
  });
  const std::string small = SetRequest("small", PatternBytes(200'000, 1));
  const std::string large = SetRequest("large", PatternBytes(7'000'000, 2));
  std::deque<Client> others;
  for (int i = 0; i < 6; ++i) others.push_back(server.Connect());
  Client client = server.Connect();
  client.SendWithoutReading(std::string_view(large).substr(0, 50'000));
  // Half of each value is always under way.
  const std::string_view first = std::string_view(small).substr(0, 100'000);
  const std::string_view rest = std::string_view(small).substr(100'000);
  for (Client& other : others) other.SendWithoutReading(first);
  std::size_t sent = 50'000;
  for (int round = 0; round < 2000 && sent < large.size(); ++round) {
    Client& other = others[static_cast<std::size_t>(round) % others.size()];
    other.SendWithoutReading(std::string(rest) + std::string(first));
    sent += client.SendWithoutReading(std::string_view(large).substr(sent, 50'000));
  }
  CHECK(sent == large.size());
  client.Expect("STORED\r\n");
}

TEST_CASE("many uploads of many sizes all come through, whoever waits for whom", "[wire][upload]") {
  const std::uint32_t staging = GENERATE(0u, 1u, 16u);
  CAPTURE(staging);
  TestServer server([&](Config& config) {
    config.threads = 2;
    config.memory_bytes = kMemoryBytes;
    config.upload_staging_megabytes = staging;
  });
  constexpr int kUploaders = 40;
  std::deque<Client> clients;
  std::vector<std::string> requests;
  for (int i = 0; i < kUploaders; ++i) {
    clients.push_back(server.Connect());
    const std::size_t bytes = i % 8 == 0 ? 1'000'000 : 60'000 + static_cast<std::size_t>(i) * 1000;
    requests.push_back(SetRequest("k" + std::to_string(i), PatternBytes(bytes, 1)));
  }
  // All have half of a value there, then all have the rest, and half of the next.
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < kUploaders; ++i) {
      const std::string_view all = requests[static_cast<std::size_t>(i)];
      clients[static_cast<std::size_t>(i)].SendWithoutReading(all.substr(0, all.size() / 2));
    }
    server.Settle();
    for (int i = 0; i < kUploaders; ++i) {
      const std::string_view all = requests[static_cast<std::size_t>(i)];
      clients[static_cast<std::size_t>(i)].Send(all.substr(all.size() / 2));
    }
    for (Client& client : clients) client.Expect("STORED\r\n");
  }
  Client client = server.Connect();
  CHECK(HeldBytes(client) == 0);
}

TEST_CASE("a stop answers values that wait for memory, whichever worker has it",
          "[wire][upload][stop]") {
  const int threads = GENERATE(1, 2, 4);
  const std::uint32_t staging = GENERATE(0u, 16u);
  CAPTURE(threads, staging);
  TestServer server([&](Config& config) {
    config.threads = threads;
    config.memory_bytes = kMemoryBytes;
    config.upload_staging_megabytes = staging;
  });
  // These leave less than any of the others needs.
  const std::string part = PatternBytes(70'000, 1);
  std::deque<Client> stalled;
  for (int i = 0; i < 2; ++i) {
    stalled.push_back(server.Connect());
    stalled.back().SendWithoutReading(AnnouncementOf("text", "u" + std::to_string(i)) + part);
  }
  server.Settle();
  std::deque<Client> clients;
  for (const std::size_t bytes :
       {60'000u, 100'000u, 40'000u, 60'000u, 100'000u, 40'000u, 300'000u}) {
    const std::string set =
        SetRequest("k" + std::to_string(clients.size()), PatternBytes(bytes, 2));
    Client& client = clients.emplace_back(server.Connect());
    client.Send("mn\r\n" + set.substr(0, 1000)).Expect("MN\r\n");
    client.SendWithoutReading(set.substr(1000) + "mn\r\n");
  }
  server.Settle();
  server.RequestStop();
  server.Join();
  for (Client& client : clients) client.Expect("STORED\r\nMN\r\n").ExpectClosed();
}

TEST_CASE("a stop answers values that have come and wait for memory", "[wire][upload]") {
  TestServer server([](Config& config) {
    config.threads = 1;
    config.memory_bytes = kMemoryBytes;
    config.upload_staging_megabytes = 0;
  });
  const std::string part = PatternBytes(40'000, 1);
  std::deque<Client> stalled;
  for (int i = 0; i < 4; ++i) {
    stalled.push_back(server.Connect());
    stalled.back().SendWithoutReading(AnnouncementOf("text", "u" + std::to_string(i)) + part);
  }
  server.Settle();
  const std::string set = SetRequest("a", PatternBytes(600'000, 2));
  Client client = server.Connect();
  client.SendWithoutReading(set);
  server.Settle();
  server.RequestStop();
  server.Join();
  client.Expect("STORED\r\n").ExpectClosed();
}

}  // namespace
}  // namespace larder::wire
