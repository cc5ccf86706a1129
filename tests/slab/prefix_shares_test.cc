// Floors and ceilings of prefixes, while memory is short.
#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "tests/mebibyte.h"
#include "tests/slab/cache_fixture.h"
#include "tests/slab/prefix_use.h"
#include "tests/slab/restart_fixture.h"
#include "tests/slab/run_together.h"
#include "tests/slab/turns.h"

namespace larder::slab {
namespace {

constexpr std::uint64_t kMemory = 8 * kMiB;
constexpr std::size_t kValueBytes = 1000;

// A cache with shares, and tenants that store values into it.
class SharedCache : public CacheFixture {
 public:
  explicit SharedCache(std::vector<PrefixShare> shares,
                       EvictionPolicy eviction = EvictionPolicy::kSegmented)
      : CacheFixture(Cache::Options{.memory_bytes = kMemory,
                                    .eviction = eviction,
                                    .count_prefixes = true,
                                    .prefix_shares = std::move(shares)}) {}

  // Stores so many percent of the memory under new keys of the prefix.
  void Write(const std::string& prefix, std::uint64_t percent,
             std::size_t value_bytes = kValueBytes) {
    const std::uint64_t item_bytes = value_bytes + sizeof(Item) + 16;
    for (std::uint64_t left = kMemory * percent / 100; left > item_bytes; left -= item_bytes) {
      Write1(prefix, value_bytes);
    }
  }
  void Write1(const std::string& prefix, std::size_t value_bytes = kValueBytes) {
    const std::string key = prefix + ":" + std::to_string(++written_);
    refused_ +=
        Set(key, std::string_view(noise_).substr(0, value_bytes)) == StoreStatus::kStored ? 0 : 1;
    if (written_ % 100 == 0) cache().BalancePages(lane());
  }
  // In percent of all memory.
  double ShareOf(const std::string& prefix) const {
    const CacheFixture& fixture = *this;
    const auto memory =
        static_cast<double>(UseOf(const_cast<CacheFixture&>(fixture).cache(), prefix + ":").memory);
    return 100 * memory / static_cast<double>(kMemory);
  }
  std::uint64_t refused() const { return refused_; }

 private:
  const std::string noise_ = Noise(400'000, 1);
  std::uint64_t written_ = 0;
  std::uint64_t refused_ = 0;
};

// What the quiet tenant has left when a noisy one has written four times the memory.
double LeftBesideNoise(std::vector<PrefixShare> shares, EvictionPolicy eviction) {
  SharedCache cache(std::move(shares), eviction);
  cache.Write("quiet", 25);
  const double before = cache.ShareOf("quiet");
  CHECK(before > 23);
  cache.Write("noisy", 400);
  CHECK(cache.refused() == 0);
  cache.cache().CheckInvariants();
  return cache.ShareOf("quiet") / before;
}

TEST_CASE("a prefix keeps its floor while another one writes four times the memory",
          "[slab][prefix-share]") {
  const EvictionPolicy eviction = GENERATE(EvictionPolicy::kSegmented, EvictionPolicy::kLru);
  CHECK(LeftBesideNoise({}, eviction) < 0.05);
  CHECK(LeftBesideNoise({{.prefix = "quiet", .floor_percent = 30}}, eviction) > 0.95);
}

TEST_CASE("a prefix falls to its floor and no further", "[slab][prefix-share]") {
  SharedCache cache({{.prefix = "quiet", .floor_percent = 20}});
  cache.Write("quiet", 90);
  CHECK(cache.ShareOf("quiet") > 80);
  cache.Write("noisy", 400);
  CHECK(cache.ShareOf("quiet") > 19);
  CHECK(cache.ShareOf("quiet") < 22);
  CHECK(cache.refused() == 0);
}

TEST_CASE("a prefix below its floor grows to it, beside one that writes more",
          "[slab][prefix-share]") {
  const auto share = [](std::vector<PrefixShare> shares) {
    SharedCache cache(std::move(shares));
    cache.Write("noisy", 150);
    // As many as its share takes: fewer turns would not do.
    for (int i = 0; i < 6000; ++i) {
      cache.Write1("quiet");
      for (int j = 0; j < 8; ++j) cache.Write1("noisy");
    }
    CHECK(cache.refused() == 0);
    return cache.ShareOf("quiet");
  };
  CHECK(share({}) < 15);
  CHECK(share({{.prefix = "quiet", .floor_percent = 30}}) > 29);
}

// The share of the noisy tenant that writes four times as much as the quiet one, and reads what it
// wrote.
double ShareOfNoise(std::vector<PrefixShare> shares, EvictionPolicy eviction) {
  SharedCache cache(std::move(shares), eviction);
  for (int i = 0; i < 9000; ++i) {
    cache.Write1("quiet");
    for (int j = 0; j < 4; ++j) cache.Write1("noisy");
  }
  CHECK(cache.refused() == 0);
  cache.cache().CheckInvariants();
  return cache.ShareOf("noisy");
}

TEST_CASE("a prefix does not exceed its ceiling while memory is short", "[slab][prefix-share]") {
  const EvictionPolicy eviction = GENERATE(EvictionPolicy::kSegmented, EvictionPolicy::kLru);
  CHECK(ShareOfNoise({}, eviction) > 70);
  for (const std::uint32_t ceiling : {40U, 15U}) {
    const double share = ShareOfNoise({{.prefix = "noisy", .ceiling_percent = ceiling}}, eviction);
    CHECK(share < ceiling + 3);
    CHECK(share > ceiling - 3);
  }
}

TEST_CASE("while memory is free a ceiling binds nobody", "[slab][prefix-share]") {
  SharedCache cache({{.prefix = "noisy", .ceiling_percent = 10}});
  cache.Write("noisy", 80);
  CHECK(cache.ShareOf("noisy") > 75);
  // And then it makes room.
  cache.Write("quiet", 100);
  CHECK(cache.ShareOf("noisy") < 13);
  CHECK(cache.ShareOf("quiet") > 75);
}

TEST_CASE("items above the ceiling have no second chance", "[slab][prefix-share]") {
  SharedCache cache({{.prefix = "noisy", .ceiling_percent = 10}});
  cache.Write("noisy", 95);
  // All are in use, and the most used.
  for (int round = 0; round < 4; ++round) {
    for (int i = 1; i < 8000; ++i) (void)cache.Hit("noisy:" + std::to_string(i));
  }
  cache.Write("quiet", 95);
  CHECK(cache.ShareOf("noisy") < 13);
}

TEST_CASE("stores succeed though all that there is stands at its floor", "[slab][prefix-share]") {
  SharedCache cache({{.prefix = "a", .floor_percent = 60}, {.prefix = "b", .floor_percent = 40}});
  cache.Write("a", 60);
  cache.Write("b", 40);
  cache.Write("c", 50);
  cache.Write("c", 50, 3000);
  cache.Write("a", 20, 300'000);
  CHECK(cache.refused() == 0);
  cache.cache().CheckInvariants();
}

TEST_CASE("a floor holds against values of another size", "[slab][prefix-share]") {
  const auto left = [](std::vector<PrefixShare> shares) {
    SharedCache cache(std::move(shares));
    cache.Write("quiet", 25);
    cache.Write("noisy", 75);
    const double before = cache.ShareOf("quiet");
    cache.Write("noisy", 400, 3000);
    CHECK(cache.refused() == 0);
    cache.cache().CheckInvariants();
    return cache.ShareOf("quiet") / before;
  };
  CHECK(left({}) < 0.9);
  CHECK(left({{.prefix = "quiet", .floor_percent = 30}}) > 0.95);
}

TEST_CASE("shares hold while threads store and pages move", "[slab][prefix-share][concurrency]") {
  SharedCache cache(
      {{.prefix = "quiet", .floor_percent = 20}, {.prefix = "noisy", .ceiling_percent = 40}});
  cache.Write("quiet", 17);
  const double before = cache.ShareOf("quiet");
  const std::string noise = Noise(400'000, 2);
  std::vector<std::function<void()>> all;
  for (std::size_t worker = 0; worker < kWorkers; ++worker) {
    all.emplace_back([&, worker, lane = &cache.NewLane()] {
      std::mt19937_64 random(worker);
      for (int i = 0; i < Turns(20'000); ++i) {
        const std::string key = std::string(random() % 2 == 0 ? "noisy" : "other") + ":" +
                                std::to_string(worker) + "," + std::to_string(i);
        const std::size_t bytes = random() % 500 == 0 ? 300'000 : kValueBytes + random() % 50;
        (void)cache.cache().Store(StoreMode::kSet, cache.Spec(key, bytes),
                                  std::string_view(noise).substr(0, bytes), 0, *lane);
        if (worker == 0 && random() % 100 == 0) cache.cache().BalancePages(*lane);
      }
    });
  }
  RunTogether(all);
  cache.cache().CheckInvariants();
  CHECK(cache.ShareOf("quiet") > 0.9 * before);
  CHECK(cache.ShareOf("noisy") < 45);
}

TEST_CASE_METHOD(RestartTest, "shares hold for items of the process before",
                 "[slab][prefix-share]") {
  const std::string value = Noise(kValueBytes, 1);
  for (int i = 0; i < 1500; ++i) {
    REQUIRE(cache().Set("quiet:" + std::to_string(i), value) == StoreStatus::kStored);
  }
  options().count_prefixes = true;
  options().prefix_shares = {{.prefix = "quiet", .floor_percent = 30}};
  Restart();
  for (int i = 0; i < 30'000; ++i) (void)cache().Set("noisy:" + std::to_string(i), value);
  CHECK(UseOf(cache().cache(), "quiet:").items > 1450);
}

}  // namespace
}  // namespace larder::slab
