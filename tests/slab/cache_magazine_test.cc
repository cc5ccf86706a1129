// Stores into a class that is large enough for lanes to take chunks by the magazine.
#include <catch2/catch.hpp>
#include <cstdint>
#include <string>

#include "tests/slab/cache_fixture.h"

namespace larder::slab {
namespace {

constexpr std::uint64_t kSmallMemoryBytes = std::uint64_t{4} << 20;
const std::string kSmallValue(30, 'v');  // Some 60,000 of such items fill the memory.

// Stores new keys from `number` on until one is refused, or `end`; returns the number after.
int Fill(CacheFixture& cache, int number, int end = 1'000'000) {
  while (number < end && cache.Set(std::to_string(number), kSmallValue) == StoreStatus::kStored) {
    ++number;
  }
  return number;
}

ClassSnapshot OnlyClass(CacheFixture& cache) {
  for (const ClassSnapshot& snapshot :
       cache.cache().census().CleanAndDescribeClasses(cache.lane())) {
    if (snapshot.pages > 0) return snapshot;
  }
  return {};
}

TEST_CASE("without eviction a store is refused only when no lane has a chunk in stock",
          "[slab][cache][magazine]") {
  CacheFixture cache({.memory_bytes = kSmallMemoryBytes, .evict = false});
  int stored = Fill(cache, 10'000, 40'000) - 10'000;
  cache.Use(cache.NewLane());
  const int end = Fill(cache, 100'000);
  stored += end - 100'000;
  const ClassSnapshot full = OnlyClass(cache);
  const std::uint64_t chunks = std::uint64_t{full.pages} * full.chunks_per_page;
  CHECK(chunks > 50'000);
  CHECK(static_cast<std::uint64_t>(stored) == chunks);
  CHECK(full.used_chunks == chunks);
  cache.cache().CheckInvariants();
}

TEST_CASE("statistics count what lies in magazines", "[slab][cache][magazine]") {
  CacheFixture cache({.memory_bytes = kSmallMemoryBytes});
  int next = 100'000;
  for (const int more : {20'000, 1, 5, 31, 32, 33}) {
    next = Fill(cache, next, next + more);
    const ClassSnapshot seen = OnlyClass(cache);
    CHECK(seen.items() == cache.items());
    CHECK(seen.used_chunks == cache.items());
  }
  Fill(cache, 300'000, 400'000);
  const ClassSnapshot seen = OnlyClass(cache);
  CHECK(seen.items() == cache.items());
  CHECK(seen.used_chunks == cache.items());
  CHECK(seen.stats.evicted == 100'000 + 20'102 - cache.items());
  CHECK(seen.queue.evicted_from_probation + seen.queue.evicted_from_main == seen.stats.evicted);
  cache.cache().CheckInvariants();
}

TEST_CASE("an item can be changed and deleted while a magazine has it", "[slab][cache][magazine]") {
  CacheFixture cache({.memory_bytes = kSmallMemoryBytes});
  Fill(cache, 100'000, 160'000);
  Lane& other = cache.NewLane();
  for (int i = 0; i < 500; ++i) {
    const std::string name = "new" + std::to_string(i);
    REQUIRE(cache.Set(name, kSmallValue) == StoreStatus::kStored);
    Lane& own = cache.lane();
    if (i % 2 == 0) cache.Use(other);
    switch (i % 5) {
      case 0:
        CHECK(cache.Delete(name));
        CHECK(cache.Look(name) == Presence::kMiss);
        break;
      case 1:
        CHECK(cache.Set(name, "other") == StoreStatus::kStored);  // Of another class.
        CHECK(cache.Get(name) == "other");
        break;
      case 2: {
        // Pinned, so that the new value cannot take the place of the old one.
        const auto pinned = cache.Pin(name);
        CHECK(cache.Set(name, std::string(30, 'w')) == StoreStatus::kStored);
        CHECK(cache.Get(name) == std::string(30, 'w'));
        break;
      }
      case 3:
        cache.See(name);
        CHECK(cache.Append(name, "x") == StoreStatus::kStored);
        CHECK(cache.Get(name) == kSmallValue + "x");
        break;
      default:
        CHECK(cache.Get(name) == kSmallValue);
    }
    cache.Use(own);
  }
  cache.cache().CheckInvariants();
}

TEST_CASE("a key that comes back soon after its eviction enters main", "[slab][cache][magazine]") {
  CacheFixture cache({.memory_bytes = kSmallMemoryBytes});
  // Twice what there is room for: of the first keys most are gone, and not for long.
  const int end = Fill(cache, 100'000, 200'000);
  const ClassSnapshot before = OnlyClass(cache);
  REQUIRE(before.main_items == 0);
  const int first_left = end - static_cast<int>(cache.items());
  Fill(cache, first_left - 1000, first_left - 500);
  const ClassSnapshot after = OnlyClass(cache);
  CHECK(after.queue.ghosts_of_probation > 450);
  CHECK(after.main_items == after.queue.ghosts_of_probation);
  cache.cache().CheckInvariants();
}

TEST_CASE("the keys of a class begin with those that arrived last", "[slab][cache][magazine]") {
  CacheFixture cache({.memory_bytes = kSmallMemoryBytes});
  Fill(cache, 100'000, 160'000);
  REQUIRE(cache.Set("the last", kSmallValue) == StoreStatus::kStored);
  const auto keys = KeysOf(cache.cache(), cache.lane(), OnlyClass(cache).id, 2);
  REQUIRE(keys.size() == 2);
  CHECK(keys[0] == "the last");
  CHECK(keys[1] == "159999");
}

}  // namespace
}  // namespace larder::slab
