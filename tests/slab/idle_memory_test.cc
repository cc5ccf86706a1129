// No memory is idle while somebody needs it: pages whose chunks are free go to the class that
// stores.
#include <catch2/catch.hpp>
#include <cstdint>
#include <random>
#include <string>

#include "tests/mebibyte.h"
#include "tests/slab/cache_fixture.h"

namespace larder::slab {
namespace {

// What happened to every second of the items that filled the memory.
enum class Gone : std::uint8_t { kDeleted, kExpired };

// A memory that was full of values of 11,000 bytes, every second of which is gone, so that no page
// is empty. Now values of 6,000 bytes come.
class IdleMemoryTest {
 public:
  explicit IdleMemoryTest(bool evicts, Gone gone = Gone::kDeleted)
      : cache({.memory_bytes = 60 * kMiB, .evict = evicts}) {
    const std::string value = Noise(11'000, 1);
    while (Fits(value, gone)) ++old_items;
    for (int i = 1; gone == Gone::kDeleted && i < old_items; i += 2) {
      REQUIRE(cache.Delete("old" + std::to_string(i)));
    }
    if (gone == Gone::kExpired) {
      cache.lane().now_s = kSoonS;
      Sweep();
    }
  }

  StoreStatus SetNew(int number) {
    if (number % 100 == 0) cache.cache().BalancePages(cache.lane());
    return cache.Set("new" + std::to_string(number), new_value);
  }
  int CountNew(int count) {
    int there = 0;
    for (int i = 0; i < count; ++i) there += cache.Hit("new" + std::to_string(i)) ? 1 : 0;
    return there;
  }
  // Those of the old items that are not gone.
  int CountOld() {
    int there = 0;
    for (int i = 0; i < old_items; i += 2) there += cache.Hit("old" + std::to_string(i)) ? 1 : 0;
    return there;
  }
  void Sweep() {
    PageWalk walk;
    while (!cache.cache().walker().IsAtEnd(walk)) {
      (void)cache.cache().walker().Sweep(walk, cache.lane());
    }
  }

  CacheFixture cache;
  int old_items = 0;
  const std::string new_value = Noise(6000, 2);

 private:
  // Stores the next old item, unless that would evict another one.
  bool Fits(const std::string& value, Gone gone) {
    const bool is_short_lived = gone == Gone::kExpired && old_items % 2 == 1;
    const std::string key = "old" + std::to_string(old_items);
    return cache.Store({.key = key, .value = value, .expires_at_s = is_short_lived ? kSoonS : 0}) ==
               StoreStatus::kStored &&
           old_items < 5400;
  }
};

TEST_CASE("without eviction, new sizes get the room of what was deleted or has expired",
          "[slab][cache][pages][idle]") {
  const Gone gone = GENERATE(Gone::kDeleted, Gone::kExpired);
  IdleMemoryTest memory(false, gone);
  REQUIRE(memory.old_items > 5000);
  int stored = 0;
  for (int i = 0; i < 4000; ++i) stored += memory.SetNew(i) == StoreStatus::kStored ? 1 : 0;
  CHECK(stored == 4000);
  CHECK(memory.CountNew(4000) == 4000);
  // Nothing that was alive had to go.
  CHECK(memory.CountOld() == (memory.old_items + 1) / 2);
  // More than there is room for is refused, and what is there stays.
  int refused = 0;
  for (int i = 4000; i < 8000; ++i) refused += memory.SetNew(i) == StoreStatus::kNoMemory ? 1 : 0;
  CHECK(refused > 2000);
  CHECK(memory.CountNew(4000) == 4000);
  CHECK(memory.CountOld() == (memory.old_items + 1) / 2);
  memory.cache.cache().CheckInvariants();
}

TEST_CASE("with eviction, new sizes get the free room before anything is evicted",
          "[slab][cache][pages][idle]") {
  const Gone gone = GENERATE(Gone::kDeleted, Gone::kExpired);
  IdleMemoryTest memory(true, gone);
  for (int i = 0; i < 4000; ++i) REQUIRE(memory.SetNew(i) == StoreStatus::kStored);
  CHECK(memory.CountNew(4000) == 4000);
  CHECK(memory.CountOld() == (memory.old_items + 1) / 2);
  CHECK(memory.cache.evicted() == 0);
  for (int i = 4000; i < 6000; ++i) REQUIRE(memory.SetNew(i) == StoreStatus::kStored);
  // memcached 1.6.45 has 4,116 of these.
  CHECK(memory.CountNew(6000) > 4116);
  memory.cache.cache().CheckInvariants();
}

TEST_CASE("keys in order that fit into the free room are all hits in the second round",
          "[slab][cache][pages][idle]") {
  IdleMemoryTest memory(true);
  int hits = 0;
  for (int round = 0; round < 2; ++round) {
    hits = 0;
    for (int i = 0; i < 4000; ++i) {
      if (memory.cache.Hit("new" + std::to_string(i))) {
        ++hits;
      } else {
        REQUIRE(memory.SetNew(i) == StoreStatus::kStored);
      }
    }
  }
  CHECK(hits == 4000);
}

TEST_CASE("a free page whose items are in use is not waited for", "[slab][cache][pages][idle]") {
  IdleMemoryTest memory(true);
  std::vector<CacheFixture::Pinned> pins;
  for (int i = 0; i < memory.old_items; i += 2) {
    pins.push_back(memory.cache.Pin("old" + std::to_string(i)));
  }
  // All are pinned, so no page can move. The class has what no class had, and evicts.
  for (int i = 0; i < 1000; ++i) REQUIRE(memory.SetNew(i) == StoreStatus::kStored);
  CHECK(memory.CountNew(1000) < 1000);
  pins.clear();
  memory.cache.cache().BalancePages(memory.cache.lane());
  const std::uint64_t evicted = memory.cache.evicted();
  for (int i = 0; i < 3000; ++i) REQUIRE(memory.SetNew(i) == StoreStatus::kStored);
  CHECK(memory.CountNew(3000) == 3000);
  CHECK(memory.CountOld() == (memory.old_items + 1) / 2);
  CHECK(memory.cache.evicted() == evicted);
}

}  // namespace
}  // namespace larder::slab
