// Pinned items: their values stay, and are not rewritten, while a handle is alive.
#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "slab/cache.h"
#include "tests/mebibyte.h"
#include "tests/slab/cache_fixture.h"

namespace larder::slab {
namespace {

TEST_CASE_METHOD(CacheFixture, "a pinned value survives whatever happens to its key",
                 "[slab][cache]") {
  const std::string value = Noise(GENERATE(100U, 100'000U, 400'000U), 1);
  const std::string same_size = Noise(value.size(), 2);
  const int fate = GENERATE(range(0, 6));
  CAPTURE(value.size(), fate);
  REQUIRE(Store({.key = "k", .value = value, .expires_at_s = kSoonS}) == StoreStatus::kStored);
  auto pinned = Pin("k");
  REQUIRE(pinned.handle);
  std::string expected;
  switch (fate) {
    case 0:
      CHECK(Delete("k"));
      break;
    case 1:
      CHECK(Set("k", same_size) == StoreStatus::kStored);
      expected = same_size;
      break;
    case 2:
      CHECK(Set("k", "short") == StoreStatus::kStored);
      expected = "short";
      break;
    case 3:
      CHECK(Append("k", "more") == StoreStatus::kStored);
      expected = value + "more";
      break;
    case 4:
      lane().now_s = kSoonS;
      CHECK(Look("k") == Presence::kExpired);
      break;
    case 5:
      cache().FlushAll();
      CHECK(Look("k") == Presence::kFlushed);
      break;
  }
  for (int i = 0; i < 6; ++i) (void)Set("other" + std::to_string(i), same_size);
  CHECK((ReadAll(pinned.value) == value));
  if (!expected.empty()) CHECK((Get("k") == expected));

  pinned.handle = ItemHandle();
  for (int i = 0; i < 6; ++i) CHECK(Delete("other" + std::to_string(i)));
  CHECK(Delete("k") == !expected.empty());
  CHECK(used_chunks() == 0);
  cache().CheckInvariants();
}

TEST_CASE("a pinned value outlives eviction and page moves", "[slab][cache]") {
  CacheFixture cache({.memory_bytes = 2 * kMiB});
  const std::string value = Noise(GENERATE(1000U, 100'000U, 300'000U), 1);
  REQUIRE(cache.Set("k", value) == StoreStatus::kStored);
  {
    const auto pinned = cache.Pin("k");
    cache.Fill(value.size());
    cache.Fill(5000, 1);
    CHECK(cache.evicted() > 0);
    CHECK((ReadAll(pinned.value) == value));
  }
  cache.Fill(value.size());
  CHECK(cache.Look("k") == Presence::kMiss);
  cache.cache().CheckInvariants();
}

TEST_CASE_METHOD(CacheFixture, "a pinned or chained value may not be rewritten in place",
                 "[slab][cache]") {
  REQUIRE(Set("k", "1") == StoreStatus::kStored);
  REQUIRE(Set("chained", Noise(300'000, 1)) == StoreStatus::kStored);
  const auto may_rewrite = [&](std::string_view key) {
    bool may = false;
    Visit(key, [&](const Item& item) { may = item.is_rewritable(); });
    return may;
  };
  CHECK(may_rewrite("k"));
  CHECK_FALSE(may_rewrite("chained"));
  {
    const auto pinned = Pin("k");
    CHECK_FALSE(may_rewrite("k"));
  }
  CHECK(may_rewrite("k"));
}

TEST_CASE_METHOD(CacheFixture, "an item counts its pins", "[slab][cache]") {
  REQUIRE(Set("k", "abc") == StoreStatus::kStored);
  std::vector<ItemHandle> pins;
  for (int i = 1; i < kRefsMax; ++i) {
    pins.push_back(Pin("k").handle);
    REQUIRE(pins.back());
  }
  CHECK(Get("k") == "abc");
  CHECK(Set("k", "def") == StoreStatus::kStored);
  CHECK(used_chunks() == 2);
  while (!pins.empty()) {
    CHECK(used_chunks() == 2);
    pins.pop_back();
  }
  CHECK(used_chunks() == 1);
}

TEST_CASE_METHOD(CacheFixture, "an item takes any number of pins, and goes with the last",
                 "[slab][cache][pins]") {
  const std::string value = Noise(GENERATE(3U, 300'000U), 1);
  const auto order = GENERATE(as<std::string>{}, "first to last", "last to first", "at random");
  CAPTURE(value.size(), order);
  REQUIRE(Set("k", value) == StoreStatus::kStored);
  const std::uint64_t chunks = used_chunks();
  std::vector<Pinned> pins;
  for (int i = 0; i < 5000; ++i) {
    pins.push_back(Pin("k"));
    REQUIRE(pins.back().handle);
  }
  const auto may_rewrite = [&] {
    bool may = false;
    Visit("k", [&](const Item& item) { may = item.is_rewritable(); });
    return may;
  };
  CHECK_FALSE(may_rewrite());
  SECTION("the item was deleted") { CHECK(Delete("k")); }
  SECTION("the item was replaced") {
    CHECK(Set("k", "") == StoreStatus::kStored);
    CHECK(Delete("k"));
  }
  SECTION("the item was flushed") {
    cache().FlushAll();
    CHECK(Look("k") == Presence::kFlushed);
  }
  SECTION("the item was joined with another value") {
    CHECK(Append("k", "+") == StoreStatus::kStored);
    CHECK((Get("k") == value + "+"));
    CHECK(Delete("k"));
  }
  CHECK(items() == 0);
  // The first ones are counted in the header, the last ones are not; neither kind is freed alone.
  if (order == "last to first") std::ranges::reverse(pins);
  if (order == "at random") std::shuffle(pins.begin(), pins.end(), std::mt19937(1));
  for (Pinned& pinned : pins) {
    REQUIRE(used_chunks() == chunks);
    if (&pinned == &pins.front() || &pinned == &pins.back()) {
      CHECK((ReadAll(pinned.value) == value));
    }
    pinned.handle = ItemHandle();
  }
  CHECK(used_chunks() == 0);
}

TEST_CASE_METHOD(CacheFixture, "pins beyond those of the header come and go while it has others",
                 "[slab][cache][pins]") {
  REQUIRE(Set("k", "abc") == StoreStatus::kStored);
  std::vector<ItemHandle> pins;
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    const std::size_t wanted = 200 + random() % 120;  // Around what a header counts.
    while (pins.size() < wanted) pins.push_back(Pin("k").handle);
    std::shuffle(pins.begin(), pins.end(), random);
    pins.resize(200 + random() % 40);
  }
  CHECK(Delete("k"));
  CHECK(used_chunks() == 1);
  pins.clear();
  CHECK(used_chunks() == 0);
  CHECK(Set("k", "def") == StoreStatus::kStored);
  Visit("k", [&](const Item& item) { CHECK(item.is_rewritable()); });
}

TEST_CASE("a value with any number of pins is not evicted, nor does its page move",
          "[slab][cache][pins]") {
  CacheFixture cache({.memory_bytes = 2 * kMiB});
  const std::string value = Noise(GENERATE(1000U, 100'000U, 300'000U), 1);
  REQUIRE(cache.Set("k", value) == StoreStatus::kStored);
  {
    std::vector<CacheFixture::Pinned> pins;
    for (int i = 0; i < 1000; ++i) pins.push_back(cache.Pin("k"));
    pins.erase(pins.begin(), pins.begin() + 300);  // All that the header counts.
    cache.Fill(value.size());
    cache.Fill(5000, 1);
    CHECK(cache.evicted() > 0);
    CHECK((cache.Get("k") == value));
    CHECK((ReadAll(pins.back().value) == value));
  }
  cache.Fill(value.size());
  CHECK(cache.Look("k") == Presence::kMiss);
  cache.cache().CheckInvariants();
}

TEST_CASE_METHOD(CacheFixture, "a handle unpins once, wherever it was moved", "[slab][cache]") {
  REQUIRE(Set("a", "1") == StoreStatus::kStored);
  REQUIRE(Set("b", "2") == StoreStatus::kStored);
  ItemHandle first = Pin("a").handle;
  ItemHandle second = Pin("b").handle;
  CHECK(Delete("a"));
  CHECK(Delete("b"));
  CHECK(used_chunks() == 2);
  first = std::move(second);  // Lets go of a.
  CHECK(used_chunks() == 1);
  CHECK_FALSE(second);
  CHECK(first);
  ItemHandle third(std::move(first));
  CHECK(used_chunks() == 1);
  third = ItemHandle();
  CHECK(used_chunks() == 0);
}

}  // namespace
}  // namespace larder::slab
