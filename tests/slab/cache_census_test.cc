// What a cache shows of itself: statistics, the keys of a class, the index and the sizes of chunks.
#include <array>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "slab/cache.h"
#include "tests/mebibyte.h"
#include "tests/slab/cache_fixture.h"

namespace larder::slab {
namespace {

TEST_CASE("gauges tell the items, their bytes and sizes", "[slab][cache]") {
  CacheFixture cache({.track_sizes = true});
  REQUIRE(cache.Store({.key = "ab", .value = "xyz", .flags = 1}) == StoreStatus::kStored);
  REQUIRE(cache.Set("large", Noise(1000, 1)) == StoreStatus::kStored);
  const std::uint64_t small_bytes = sizeof(Item) + 2 + 4 + 3;
  const std::uint64_t large_bytes = sizeof(Item) + 5 + 1000;
  CHECK(cache.items() == 2);
  CHECK(cache.bytes() == small_bytes + large_bytes);
  CHECK(cache.lane().total_items.value() == 2);
  const ClassId small_class = cache.See("ab")->class_id;
  CHECK(cache.lane().classes[small_class].value(ClassStat::kRequestedBytes) == small_bytes);
  CHECK(cache.lane().sizes[2].value() == 1);   // 33 to 64 bytes.
  CHECK(cache.lane().sizes[33].value() == 1);  // 1025 to 1056.

  cache.Use(cache.NewLane());  // Another worker's gauge may wrap; the sum is right.
  CHECK(cache.Delete("large"));
  REQUIRE(cache.Set("ab", "") == StoreStatus::kStored);
  CHECK(cache.items() == 1);
  CHECK(cache.bytes() == sizeof(Item) + 2);
}

TEST_CASE_METHOD(CacheFixture, "a snapshot tells what a class holds", "[slab][cache]") {
  REQUIRE(Set("k1", "v") == StoreStatus::kStored);
  REQUIRE(Set("k2", "v") == StoreStatus::kStored);
  lane().now_s += 5;
  const ClassSnapshot snapshot = Class(See("k1")->class_id);
  CHECK(snapshot.chunk_bytes == 40);
  CHECK(snapshot.chunks_per_page == kPageBytes / 40);
  CHECK(snapshot.pages == 1);
  CHECK(snapshot.items() == 2);
  CHECK(snapshot.used_chunks == 2);
  CHECK(snapshot.probation_age_s == 5);
}

TEST_CASE("ages are not negative when the clocks of lanes differ", "[slab][cache]") {
  CacheFixture cache({.memory_bytes = kPageBytes});
  Lane& slow = cache.NewLane();
  cache.lane().now_s += 1;
  const std::string value = Noise(900, 1);
  for (int i = 0; i < 200; ++i) (void)cache.Set("k" + std::to_string(i), value);
  cache.Use(slow);
  const ClassId class_id = cache.See("k100")->class_id;
  CHECK(cache.Class(class_id).probation_age_s == 0);
  for (int i = 200; i < 400; ++i) (void)cache.Set("k" + std::to_string(i), value);
  CHECK(cache.evicted() > 0);
  CHECK(cache.Class(class_id).stats.evicted_age_s == 0);
  cache.cache().census().ResetClassStats();
  CHECK(cache.evicted() == 0);
}

TEST_CASE_METHOD(CacheFixture, "the keys of a class come newest first, up to a limit",
                 "[slab][cache]") {
  for (const char* key : {"a", "b", "c"}) REQUIRE(Set(key, "v") == StoreStatus::kStored);
  const ClassId class_id = See("a")->class_id;
  CHECK(KeysOf(cache(), lane(), class_id, 0) == std::vector<std::string>{"c", "b", "a"});
  CHECK(KeysOf(cache(), lane(), class_id, 2) == std::vector<std::string>{"c", "b"});
  CHECK(KeysOf(cache(), lane(), 0, 0).empty());
  CHECK(KeysOf(cache(), lane(), 255, 0).empty());
}

TEST_CASE_METHOD(CacheFixture, "a walk over a class goes on behind what left it meanwhile",
                 "[slab][cache]") {
  for (int i = 0; i < 200; ++i) REQUIRE(Set("k" + std::to_string(i), "v") == StoreStatus::kStored);
  const ClassId class_id = See("k0")->class_id;
  QueueWalk walk{.class_id = class_id};
  std::array<ItemSnapshot, 10> items;
  REQUIRE(cache().walker().SnapshotQueue(walk, lane(), items) == 10);
  CHECK(items[9].key() == "k190");
  CHECK(items[9].value_bytes == 1);
  for (const char* key : {"k190", "k192"}) REQUIRE(Delete(key));
  REQUIRE(cache().walker().SnapshotQueue(walk, lane(), items) == 10);
  CHECK(items[0].key() == "k189");
  CHECK(items[9].key() == "k180");
  // Where all are gone that were met last, it ends.
  for (int i = 180; i < 190; ++i) REQUIRE(Delete("k" + std::to_string(i)));
  CHECK(cache().walker().SnapshotQueue(walk, lane(), items) == 0);
  CHECK(walk.is_at_end);
}

TEST_CASE("removals by a lane that stores nothing are told to the index", "[slab][cache]") {
  // Else the table would grow for items that are long gone.
  CacheFixture cache({.memory_bytes = 4 * kMiB});
  Lane& first = cache.lane();
  Lane& keeper = cache.NewLane();
  for (int round = 0; round < 5; ++round) {
    cache.Use(first);
    REQUIRE(cache.cache().SetMemoryLimit(4 * kMiB));
    for (int i = 0; i < 10'000; ++i) (void)cache.Set(std::to_string(i), "v");
    REQUIRE(cache.cache().SetMemoryLimit(kPageBytes));
    cache.cache().Maintain(keeper);
  }
  CHECK(cache.cache().index().bucket_count() == 4096);
}

TEST_CASE_METHOD(CacheFixture, "prefetching changes nothing, present or absent", "[slab][cache]") {
  const int items_max = 30'000;  // Some lie in overflow buckets.
  std::vector<std::uint64_t> hashes;
  for (int i = 0; i < items_max; ++i) {
    const std::string key = std::to_string(i);
    if (i % 2 == 0) REQUIRE(Set(key, key) == StoreStatus::kStored);
    hashes.push_back(cache().Hash(key));
    cache().PrefetchBucket(hashes.back());
    if (hashes.size() < kPrefetchMax && i + 1 < items_max) continue;
    cache().PrefetchItems(hashes);
    hashes.clear();
  }
  CHECK(items() == items_max / 2);
  CHECK(Get("0") == "0");
  CHECK(Look("1") == Presence::kMiss);
  cache().CheckInvariants();
}

TEST_CASE("chunk sizes follow the options", "[slab][cache]") {
  CacheFixture cache({.chunk_room_min = 48, .growth_factor = 2.0});
  CHECK(cache.cache().engine().classes.ladder().chunk_bytes(1) == 72);
  CHECK(cache.cache().engine().classes.ladder().chunk_bytes(2) == 144);
  CHECK(cache.Set("k", Noise(200'000, 1)) == StoreStatus::kStored);
  CHECK((cache.Get("k") == Noise(200'000, 1)));
}

TEST_CASE("a cache of many gigabytes uses a larger unit", "[slab][cache]") {
  CacheFixture cache({.memory_bytes = std::uint64_t{100} << 30});
  CHECK(cache.cache().arena().unit_bytes() == 32);
  for (int i = 0; i < 60; ++i) {
    const std::string value = Noise(static_cast<std::size_t>(i) * 3500, 1);
    REQUIRE(cache.Set(std::to_string(i), value) == StoreStatus::kStored);
    REQUIRE((cache.Get(std::to_string(i)) == value));
  }
  cache.cache().CheckInvariants();
}

}  // namespace
}  // namespace larder::slab
