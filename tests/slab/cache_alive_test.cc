// What is said to be alive, while flushes kill what nobody has removed yet.
#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/slab/cache_fixture.h"
#include "tests/slab/turns.h"

namespace larder::slab {
namespace {

// One pass.
void SweepAll(CacheFixture& cache, Lane& lane) {
  for (PageWalk walk; !cache.cache().walker().IsAtEnd(walk);)
    (void)cache.cache().walker().Sweep(walk, lane);
}

TEST_CASE_METHOD(CacheFixture, "what is alive falls to nothing with a flush", "[slab][flush_all]") {
  for (int i = 0; i < 1000; ++i) REQUIRE(Set("k" + std::to_string(i), "v") == StoreStatus::kStored);
  CHECK(alive().items == 1000);
  CHECK(alive().bytes == bytes());
  cache().FlushAll();
  CHECK(alive() == AliveCount{});
  CHECK(items() == 1000);
  REQUIRE(Set("k1", "v") == StoreStatus::kStored);  // In place of a dead one.
  REQUIRE(Set("new", "v") == StoreStatus::kStored);
  CHECK(alive().items == 2);
  SweepAll(*this, lane());
  CHECK(items() == 2);
  CHECK(alive().items == 2);
  CHECK(alive().bytes == bytes());
  cache().CheckInvariants();
}

TEST_CASE_METHOD(CacheFixture, "an item that one lane stores and another removes is alive between",
                 "[slab][flush_all]") {
  Lane& other = NewLane();
  REQUIRE(Set("before", "v") == StoreStatus::kStored);
  cache().FlushAll();
  REQUIRE(Set("k", "v") == StoreStatus::kStored);
  CHECK(alive().items == 1);
  Use(other);  // It has heard of no flush.
  SECTION("it is deleted") { REQUIRE(Delete("k")); }
  SECTION("it is overwritten in place and flushed") {
    REQUIRE(Set("k", "w") == StoreStatus::kStored);
    CHECK(alive().items == 1);
    cache().FlushAll();
  }
  SECTION("it gets another chunk and is deleted") {
    REQUIRE(Touch("k", kStartS + 100) == Presence::kHit);
    CHECK(alive().items == 1);
    REQUIRE(Delete("k"));
  }
  CHECK(alive() == AliveCount{});
  cache().CheckInvariants();
}

TEST_CASE_METHOD(CacheFixture, "an item that is changed while a flush comes is flushed",
                 "[slab][flush_all]") {
  REQUIRE(Set("k", "1") == StoreStatus::kStored);
  REQUIRE(Set("gone", "v") == StoreStatus::kStored);
  Visit("k", [&](Item& item) {
    cache().FlushAll();
    cache().Renumber(item, lane());
  });
  CHECK(alive() == AliveCount{});
  cache().CheckInvariants();
  CHECK(Look("k") == Presence::kFlushed);
  CHECK(alive() == AliveCount{});
  REQUIRE(Set("k", "2") == StoreStatus::kStored);
  CHECK(alive().items == 1);
  cache().CheckInvariants();
}

TEST_CASE("an item whose store a flush overtakes is never alive", "[slab][flush_all]") {
  bool is_armed = false;
  Cache* cache = nullptr;
  CacheFixture fixture({.memory_bytes = std::uint64_t{4} << 20, .pause = [&](Moment moment) {
                          if (is_armed && moment == Moment::kBatchTaken) cache->FlushAll();
                        }});
  cache = &fixture.cache();
  fixture.Fill(40);
  is_armed = true;
  // Every batch is of items that the last flush has killed, so the store hears of one in its midst.
  for (int i = 0; i < 200; ++i) {
    REQUIRE(fixture.Set("new" + std::to_string(i), std::string(40, 'v')) == StoreStatus::kStored);
  }
  cache->CheckInvariants();
  is_armed = false;
  std::uint64_t found = 0;
  for (int i = 0; i < 200; ++i) {
    if (fixture.Look("new" + std::to_string(i)) == Presence::kHit) ++found;
  }
  CHECK(found < 200);
  CHECK(fixture.alive().items == found);
  cache->CheckInvariants();
}

TEST_CASE("what is alive is what a model says, whatever is done by which lane",
          "[slab][flush_all][property]") {
  const auto seed = GENERATE(1, 2, 3);
  const auto eviction = GENERATE(EvictionPolicy::kSegmented, EvictionPolicy::kLru);
  CAPTURE(seed, eviction);
  std::mt19937_64 random(static_cast<std::uint64_t>(seed));
  CacheFixture cache({.eviction = eviction});
  const std::vector<Lane*> lanes = {&cache.lane(), &cache.NewLane(), &cache.NewLane()};
  std::map<std::string, std::uint64_t> model;  // Keys with the bytes of their items.
  for (int turn = 0; turn < Turns(30'000); ++turn) {
    cache.Use(*lanes[random() % lanes.size()]);
    const std::string key = "k" + std::to_string(random() % 50);
    const std::string value(random() % 3 == 0 ? random() % 2000 : random() % 40, 'v');
    const auto choice = random() % 100;
    if (choice < 40) {
      REQUIRE(cache.Set(key, value) == StoreStatus::kStored);
      model[key] = 0;
    } else if (choice < 50) {
      if (cache.Add(key, value) == StoreStatus::kStored) model[key] = 0;
    } else if (choice < 60) {
      (void)cache.Append(key, value);
    } else if (choice < 70) {
      (void)cache.Touch(key, CacheFixture::kStartS + 1000);
    } else if (choice < 80) {
      cache.Visit(key, [&](Item& item) { cache.cache().Renumber(item, cache.lane()); });
    } else if (choice < 90) {
      CHECK(cache.Delete(key) == (model.erase(key) != 0));
    } else if (choice < 92) {
      SweepAll(cache, cache.lane());
    } else if (choice < 94) {
      cache.cache().FlushAll();
      model.clear();
    } else {
      (void)cache.ReserveAndPublish({.key = key, .value = value});
      model[key] = 0;
    }
    REQUIRE(cache.alive().items == model.size());
    if (turn % 20 == 0) {
      std::uint64_t bytes = 0;
      for (const auto& [name, unused] : model) {
        cache.Visit(name, [&](const Item& item) { bytes += item.item_bytes(); });
      }
      REQUIRE(cache.alive().bytes == bytes);
    }
  }
  cache.cache().CheckInvariants();
}

// Stores, changes and removes, in memory that is too small, beside flushes and sweeps.
TEST_CASE("what is alive is exact when stores, removals and flushes are over",
          "[slab][flush_all][concurrency]") {
  const auto eviction = GENERATE(EvictionPolicy::kSegmented, EvictionPolicy::kLru);
  CAPTURE(eviction);
  CacheFixture cache({.memory_bytes = std::uint64_t{3} << 20, .eviction = eviction});
  cache.Fill(40);  // Large enough for magazines.
  constexpr int kKeys = 20'000;
  std::atomic<int> working{3};
  std::atomic<int> too_many{0};
  const auto work = [&](Lane& lane, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    for (int turn = 0; turn < Turns(60'000); ++turn) {
      const std::string name = "key" + std::to_string(random() % kKeys);
      const HashedKey key{name, cache.cache().Hash(name)};
      const std::string value(random() % 10 == 0 ? 1000 : 20 + random() % 20, 'v');
      const ItemSpec spec{.key = key, .value_bytes = static_cast<std::uint32_t>(value.size())};
      const auto choice = random() % 100;
      if (choice < 60) {
        (void)cache.cache().Store(StoreMode::kSet, spec, value, 0, lane);
      } else if (choice < 65) {
        (void)cache.cache().Store(StoreMode::kAppend, spec, value, 0, lane);
      } else if (choice < 80) {
        cache.cache().Visit(key, lane, [&](Item& item) { cache.cache().Renumber(item, lane); });
      } else if (choice < 85) {
        cache.cache().VisitToExpire(key, Expiry::At(lane.now_s + 1000), lane, [](Item&) {});
      } else if (choice < 99) {
        (void)cache.cache().Delete(key, lane);
      } else if (random() % 50 == 0) {
        cache.cache().FlushAll();
      }
    }
    --working;
  };
  std::vector<std::thread> threads;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    threads.emplace_back([&, seed, &lane = cache.NewLane()] { work(lane, seed); });
  }
  threads.emplace_back([&, &lane = cache.NewLane()] {
    while (working > 0) {
      SweepAll(cache, lane);
      if (cache.alive().items > 2 * kKeys + 100'000) ++too_many;
      std::this_thread::yield();
    }
  });
  for (std::thread& thread : threads) thread.join();
  CHECK(too_many == 0);

  const AliveCount alive = cache.alive();
  cache.cache().CheckInvariants();
  AliveCount found;
  const auto count = [&](const std::string& key) {
    cache.Visit(key, [&](const Item& item) {
      ++found.items;
      found.bytes += item.item_bytes();
    });
  };
  for (int i = 0; i < kKeys; ++i) count("key" + std::to_string(i));
  for (int i = 0; i < 200'000; ++i) count("fill" + std::to_string(i));
  CHECK(alive == found);
  CHECK(cache.alive() == found);
  for (int i = 0; i < kKeys; ++i) cache.Delete("key" + std::to_string(i));
  cache.cache().FlushAll();
  CHECK(cache.alive() == AliveCount{});
  SweepAll(cache, cache.lane());
  CHECK(cache.alive() == AliveCount{});
  CHECK(cache.items() == 0);
}

}  // namespace
}  // namespace larder::slab
