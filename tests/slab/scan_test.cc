// Bulk loads and scans of a new size: they get some room, and do not wash out a working set.
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>

#include "tests/mebibyte.h"
#include "tests/slab/cache_fixture.h"
#include "tests/slab/zipf.h"

namespace larder::slab {
namespace {

constexpr std::uint64_t kScannedBytes = 32 * kMiB;

// Items "<prefix><number>" that a client stores or reads in their order.
class ScanTest {
 public:
  // `steps_per_turn`: requests between two turns of the background thread, of which 20 are a
  // second.
  explicit ScanTest(int steps_per_turn = 50) : steps_per_turn_(steps_per_turn) {}

  // The background thread goes on. Hits are counted by class, as the server does it.
  bool Get(const std::string& key) {
    Step();
    const auto seen = cache.See(key);
    if (!seen) return false;
    cache.lane().classes[seen->class_id].Add(ClassStat::kGetHits);
    return cache.Hit(key);
  }
  void Set(const std::string& key, std::string_view value) {
    Step();
    REQUIRE(cache.Set(key, value) == StoreStatus::kStored);
  }
  void SetAll(const std::string& prefix, int count, std::string_view value) {
    for (int i = 0; i < count; ++i) Set(prefix + std::to_string(i), value);
  }

  CacheFixture cache{{.memory_bytes = kScannedBytes}};

 private:
  void Step() {
    if (++steps_ % steps_per_turn_ == 0) cache.cache().BalancePages(cache.lane());
  }
  const int steps_per_turn_;
  int steps_ = 0;
};

int CountFor(double memories, std::size_t value_bytes) {
  return static_cast<int>(memories * kScannedBytes / static_cast<double>(value_bytes + 50));
}

TEST_CASE("a scan of twice the memory costs a working set at most 5 points",
          "[slab][cache][pages][scan]") {
  // The same size, smaller and larger ones.
  const std::size_t scanned_bytes = GENERATE(std::size_t{800}, std::size_t{100}, std::size_t{6000});
  ScanTest test;
  const std::string value = Noise(800, 1);
  const auto count = static_cast<std::size_t>(CountFor(0.9, 800));
  Zipf popularity(count, 0.9, 1);
  for (std::size_t i = 0; i < 8 * count; ++i) {
    const std::string key = "set" + std::to_string(popularity.Draw());
    if (!test.Get(key)) test.Set(key, value);
  }
  constexpr int kRequests = 50'000;
  const auto count_hits = [&] {
    int hits = 0;
    for (int i = 0; i < kRequests; ++i) {
      hits += test.Get("set" + std::to_string(popularity.Draw())) ? 1 : 0;
    }
    return hits;
  };
  const int before = count_hits();
  test.SetAll("scan", CountFor(2, scanned_bytes), Noise(scanned_bytes, 2));
  const int after = count_hits();
  CAPTURE(scanned_bytes, before, after);
  CHECK(before > 0.95 * kRequests);
  CHECK(before - after <= 0.05 * kRequests);
  test.cache.cache().CheckInvariants();
}

TEST_CASE("a scan of twice the memory costs an evenly read working set at most 5 points",
          "[slab][cache][pages][scan]") {
  // 200,000 requests a second: the working set is loaded and read within two seconds.
  ScanTest test(10'000);
  const std::string value = Noise(800, 1);
  const auto count = static_cast<std::size_t>(CountFor(0.85, 800));
  std::mt19937 random(1);
  std::uniform_int_distribution<std::size_t> draw(0, count - 1);
  const auto get = [&] { return test.Get("set" + std::to_string(draw(random))); };
  test.SetAll("set", static_cast<int>(count), value);
  for (std::size_t i = 0; i < 7 * count; ++i) get();
  test.SetAll("scan", CountFor(2, 800), Noise(800, 2));
  int hits = 0;
  for (std::size_t i = 0; i < count; ++i) hits += get() ? 1 : 0;
  CAPTURE(hits, count);
  CHECK(hits >= 0.95 * static_cast<double>(count));
  test.cache.cache().CheckInvariants();
}

TEST_CASE("a bulk load of a new size gets room from what nobody reads",
          "[slab][cache][pages][scan]") {
  ScanTest test;
  test.SetAll("old", CountFor(1.1, 11'000), Noise(11'000, 1));
  const std::string value = Noise(6000, 2);
  // What is stored within a few turnovers of the memory is there afterwards, as far as it fits.
  const int count = CountFor(0.25, 6000);
  int hits = 0;
  for (int round = 0; round < 40; ++round) {
    hits = 0;
    for (int i = 0; i < count; ++i) {
      const std::string key = "new" + std::to_string(i);
      if (test.Get(key)) {
        ++hits;
      } else {
        test.Set(key, value);
      }
    }
  }
  CAPTURE(count);
  CHECK(hits == count);
}

}  // namespace
}  // namespace larder::slab
