// What counts as use of a key when memory is full.
#include <functional>

#include "tests/wire/binary_fixture.h"

namespace larder::wire {
namespace {

constexpr int kLiveKeys = 100;
constexpr int kStepsPerTurnover = 8;
constexpr int kTurnovers = 3;
constexpr std::size_t kFillBytes = 900;
constexpr int kFillsPerStep = (8 << 20) / 1000 / kStepsPerTurnover;

std::string LiveKey(int number) { return "live" + std::to_string(number); }

// A request that writes the key again, and says nothing if it succeeds; `cas` is that of the item.
struct Rewrite {
  const char* name;
  std::function<std::string(const std::string& key, const std::string& cas)> request;
  bool is_binary = false;
};

const std::vector<Rewrite> kRewrites = {
    {"append",
     [](const auto& key, const auto&) { return "append " + key + " 0 0 1 noreply\r\n+\r\n"; }},
    {"prepend",
     [](const auto& key, const auto&) { return "prepend " + key + " 0 0 1 noreply\r\n+\r\n"; }},
    {"replace",
     [](const auto& key, const auto&) {
       return StorageRequest({.verb = "replace",
                              .key = key,
                              .value = std::string(kFillBytes, 'r'),
                              .rest = "noreply"});
     }},
    {"cas",
     [](const auto& key, const auto& cas) {
       return StorageRequest({.verb = "cas",
                              .key = key,
                              .value = std::string(kFillBytes, 'r'),
                              .rest = cas + " noreply"});
     }},
    {"ms MA", [](const auto& key, const auto&) { return "ms " + key + " 1 MA q\r\n+\r\n"; }},
    {"ms MP", [](const auto& key, const auto&) { return "ms " + key + " 1 MP q\r\n+\r\n"; }},
    {"ms MR", [](const auto& key, const auto&) { return "ms " + key + " 3 MR q\r\nnew\r\n"; }},
    {"ms MR E", [](const auto& key, const auto&) { return "ms " + key + " 3 MR E9 q\r\nnew\r\n"; }},
    {"ms C",
     [](const auto& key, const auto& cas) { return "ms " + key + " 3 C" + cas + " q\r\nnew\r\n"; }},
    {"binary append",
     [](const auto& key, const auto&) {
       return Packet{.opcode = kAppendQ, .key = key, .value = "+"}.Request();
     },
     true},
    {"binary replace",
     [](const auto& key, const auto&) {
       return StorePacket({.opcode = kReplaceQ, .key = key, .value = std::string(kFillBytes, 'r')})
           .Request();
     },
     true},
    {"binary set with a CAS",
     [](const auto& key, const auto& cas) {
       return StorePacket({.opcode = kSetQ,
                           .key = key,
                           .value = std::string(kFillBytes, 'r'),
                           .cas = std::stoull(cas)})
           .Request();
     },
     true},
};

TEST_CASE("keys that are written again in any way but set outlive memory's turnover",
          "[wire][eviction]") {
  const auto eviction = GENERATE(slab::EvictionPolicy::kSegmented, slab::EvictionPolicy::kLru);
  const Rewrite& rewrite = GENERATE(from_range(kRewrites));
  CAPTURE(rewrite.name, eviction == slab::EvictionPolicy::kLru);
  TestServer server([&](Config& config) {
    config.memory_bytes = 8U << 20;
    config.eviction = eviction;
  });
  Client client = server.Connect();
  BinaryClient writer{server.Connect()};
  int filled = 0;
  const auto fill = [&](int count) {
    std::string sets;
    for (int i = 0; i < count; ++i) {
      sets += StorageRequest({.key = "fill" + std::to_string(filled++),
                              .value = std::string(kFillBytes, 'f'),
                              .rest = "noreply"});
    }
    client.Send(sets);
  };
  // Among others: an eviction that meets nothing but used keys takes one of them in the end.
  for (int key = 0; key < kLiveKeys; ++key) {
    client.Send(SetRequest(LiveKey(key), std::string(kFillBytes, 'l'))).Expect("STORED\r\n");
    fill(kFillsPerStep / kLiveKeys);
  }
  for (int step = 0; step < kTurnovers * kStepsPerTurnover; ++step) {
    fill(kFillsPerStep);
    std::string looks;
    for (int key = 0; key < kLiveKeys; ++key) looks += "me " + LiveKey(key) + "\r\n";  // No use.
    client.Send(looks);
    std::string requests;
    for (int key = 0; key < kLiveKeys; ++key) {
      const std::string line = client.ReceiveLine();
      const std::size_t at = line.find(" cas=");
      if (at == std::string::npos) continue;
      requests +=
          rewrite.request(LiveKey(key), line.substr(at + 5, line.find(' ', at + 5) - at - 5));
    }
    writer.client.Send(requests);
    if (rewrite.is_binary) {
      writer.ExpectNothing();
    } else {
      writer.client.ExpectNothing();
    }
  }
  CHECK(client.Stat("evictions") > 0);
  std::string looks;
  for (int key = 0; key < kLiveKeys; ++key) looks += "me " + LiveKey(key) + "\r\n";
  client.Send(looks);
  int alive = 0;
  for (int key = 0; key < kLiveKeys; ++key)
    alive += client.ReceiveLine().starts_with("ME ") ? 1 : 0;
  CHECK(alive == kLiveKeys);
}

}  // namespace
}  // namespace larder::wire
