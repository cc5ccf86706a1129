#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/mebibyte.h"
#include "tests/slab/cache_fixture.h"
#include "tests/slab/zipf.h"

namespace larder::slab {
namespace {

// A client that stores what it does not find, and sees to it that pages move as the background
// thread does.
class CacheAside {
 public:
  static constexpr std::uint64_t kRequestsPerTurn = 100;

  explicit CacheAside(std::uint64_t memory_bytes) : cache_({.memory_bytes = memory_bytes}) {}

  void Request(std::string_view key, std::string_view value) {
    if (++requests_ % kRequestsPerTurn == 0) cache_.cache().BalancePages(cache_.lane());
    if (const auto seen = cache_.See(key)) {
      // As the server does it.
      cache_.lane().classes[seen->class_id].Add(ClassStat::kGetHits);
      cache_.Hit(key);
      ++hits_;
      return;
    }
    stored_bytes_ += value.size() + key.size() + sizeof(Item);
    if (cache_.Set(key, value) != StoreStatus::kStored) ++failures_;
  }

  CacheFixture& cache() { return cache_; }
  std::uint64_t hits() const { return hits_; }
  std::uint64_t stored_bytes() const { return stored_bytes_; }
  std::uint64_t failures() const { return failures_; }

 private:
  CacheFixture cache_;
  std::uint64_t requests_ = 0;
  std::uint64_t hits_ = 0;
  std::uint64_t stored_bytes_ = 0;
  std::uint64_t failures_ = 0;
};

TEST_CASE("hits recover within two turnovers when sizes shift, and no store fails",
          "[slab][cache][pages]") {
  constexpr std::uint64_t kMemoryBytes = 16 * kMiB;
  constexpr int kMeasuredRequests = 10'000;
  CacheAside shifting(kMemoryBytes);
  int phase = 0;
  for (const std::size_t value_bytes : {100U, 800U, 5000U, 800U, 100U}) {
    ++phase;
    const std::string value = Noise(value_bytes, 1);
    Zipf popularity(2 * kMemoryBytes / value_bytes, 0.8, static_cast<unsigned>(phase));
    CacheAside fresh(kMemoryBytes);
    const auto request = [&] {
      const std::string key = std::to_string(phase) + ":" + std::to_string(popularity.Draw());
      shifting.Request(key, value);
      fresh.Request(key, value);
    };
    const std::uint64_t turned_over = shifting.stored_bytes() + (phase == 1 ? 1 : 2) * kMemoryBytes;
    while (shifting.stored_bytes() < turned_over) request();
    const std::uint64_t shifting_before = shifting.hits();
    const std::uint64_t fresh_before = fresh.hits();
    for (int i = 0; i < kMeasuredRequests; ++i) request();
    const auto recovered = static_cast<double>(shifting.hits() - shifting_before);
    const auto expected = static_cast<double>(fresh.hits() - fresh_before);
    CAPTURE(phase, value_bytes, recovered, expected);
    CHECK(recovered >= 0.95 * expected);
  }
  CHECK(shifting.failures() == 0);
  shifting.cache().cache().CheckInvariants();
}

TEST_CASE("pages do not go to and fro while traffic stays as it is", "[slab][cache][pages]") {
  CacheAside client(8 * kMiB);
  const std::string noise = Noise(5000, 1);
  Zipf popularity(20'000, 0.8, 1);
  const auto request = [&](int count) {
    for (int i = 0; i < count; ++i) {
      const std::size_t number = popularity.Draw();
      const std::size_t bytes = number % 3 == 0 ? 100U : number % 3 == 1 ? 800U : 5000U;
      client.Request("k" + std::to_string(number), std::string_view(noise).substr(0, bytes));
    }
  };
  request(100'000);
  const std::uint64_t settled = client.cache().cache().page_mover().pages_moved();
  request(100'000);
  CHECK(client.cache().cache().page_mover().pages_moved() - settled <= 60);
  CHECK(client.failures() == 0);
}

TEST_CASE("a page whose items find room in others costs no item", "[slab][cache][pages]") {
  const std::size_t value_bytes = GENERATE(100U, 20'000U, 300'000U);
  CAPTURE(value_bytes);
  CacheFixture cache({.memory_bytes = 4 * kMiB});
  const std::string value = Noise(value_bytes, 1);
  const int count = static_cast<int>(3 * kMiB / (value_bytes + 60));
  for (int i = 0; i < count; ++i) {
    REQUIRE(cache.Store({.key = "k" + std::to_string(i), .value = value, .flags = 7}) ==
            StoreStatus::kStored);
  }
  const auto cas = cache.See("k1")->cas;
  // Every second item goes, so that every page has room.
  for (int i = 0; i < count; i += 2) REQUIRE(cache.Delete("k" + std::to_string(i)));
  const ClassId from = cache.See("k1")->class_id;
  const std::uint32_t pages_before = cache.Class(from).pages;
  REQUIRE(pages_before >= 2);
  REQUIRE(cache.cache().page_mover().Reassign(from, 3) == ReassignStatus::kStarted);
  CHECK(cache.cache().page_mover().Reassign(from, 3) == ReassignStatus::kBusy);
  cache.cache().BalancePages(cache.lane());
  CHECK(cache.cache().page_mover().pages_moved() == 1);
  CHECK(cache.Class(3).pages == 1);
  CHECK(cache.Class(from).pages == pages_before - 1);
  CHECK(cache.evicted() == 0);
  CHECK(cache.cache().page_mover().stats().dropped_items == 0);
  for (int i = 1; i < count; i += 2) CHECK((cache.Get("k" + std::to_string(i)) == value));
  CHECK(cache.See("k1")->client_flags == 7);
  CHECK(cache.See("k1")->cas == cas);
  cache.cache().CheckInvariants();
}

TEST_CASE("a pinned item delays its page's move, and others go in the meantime",
          "[slab][cache][pages]") {
  CacheFixture cache({.memory_bytes = 4 * kMiB});
  const std::string value = Noise(GENERATE(100'000U, 300'000U), 1);
  for (int i = 0; i < 100; ++i) {
    REQUIRE(cache.Set("k" + std::to_string(i), value) == StoreStatus::kStored);
  }
  std::vector<CacheFixture::Pinned> pins;
  for (int i = 0; i < 100; ++i) {
    auto pinned = cache.Pin("k" + std::to_string(i));
    if (pinned.handle) pins.push_back(std::move(pinned));
  }
  const ClassId from = cache.See("k99")->class_id;
  REQUIRE(cache.cache().page_mover().Reassign(from, 3) == ReassignStatus::kStarted);
  cache.cache().BalancePages(cache.lane());
  CHECK(cache.cache().page_mover().pages_moved() == 0);
  CHECK(cache.cache().page_mover().stats().busy_pages > 0);
  CHECK(cache.cache().page_mover().stats().is_running);
  for (const auto& pinned : pins) CHECK((ReadAll(pinned.value) == value));
  pins.clear();
  cache.cache().BalancePages(cache.lane());
  CHECK(cache.cache().page_mover().pages_moved() == 1);
  CHECK_FALSE(cache.cache().page_mover().stats().is_running);
  cache.cache().CheckInvariants();
}

TEST_CASE("a walk takes no value for an item where its page was another class's meanwhile",
          "[slab][cache][pages][walk]") {
  CacheFixture cache({.memory_bytes = 3 * kPageBytes});
  const auto name = [](const char* prefix, std::size_t i) { return prefix + std::to_string(i); };
  const auto header_of = [&](const std::string& key) {
    std::byte* header = nullptr;
    (void)cache.Visit(key, [&](Item& item) { header = reinterpret_cast<std::byte*>(&item); });
    REQUIRE(header != nullptr);
    return header;
  };

  // Two pages of one class, so that the items around the middle lie in both.
  const std::string small = Noise(900, 1);
  REQUIRE(cache.Set("k1000", small) == StoreStatus::kStored);
  const ClassId small_class = cache.See("k1000")->class_id;
  const std::size_t in_page =
      kPageBytes / cache.cache().engine().classes.ladder().chunk_bytes(small_class);
  for (std::size_t i = 1; i < 2 * in_page; ++i) {
    REQUIRE(cache.Set(name("k", 1000 + i), small) == StoreStatus::kStored);
  }
  REQUIRE(cache.Class(small_class).pages == 2);

  // A walk from the newest on, whose last step has met two items of each page.
  QueueWalk walk{.class_id = small_class};
  std::array<ItemSnapshot, kWalkChunksMax> snapshots;
  for (std::size_t left = in_page - 2; left > 0;) {
    const std::size_t step = std::min(left, snapshots.size());
    REQUIRE(cache.cache().walker().SnapshotQueue(walk, cache.lane(),
                                                 std::span(snapshots).first(step)) == step);
    left -= step;
  }
  REQUIRE(cache.cache().walker().SnapshotQueue(walk, cache.lane(), std::span(snapshots).first(4)) ==
          4);
  constexpr std::size_t kForgedBytes = sizeof(Item) + 5;
  struct Forgery {
    std::byte* at;
    std::array<std::byte, kForgedBytes> bytes;
  };
  std::vector<Forgery> forgeries;
  for (const ItemSnapshot& met : std::span(snapshots).first(4)) {
    Forgery forgery{.at = header_of(std::string(met.key())), .bytes = {}};
    std::memcpy(forgery.bytes.data(), forgery.at, kForgedBytes);
    const ItemRef nowhere = 0x7ffffff0;
    std::memcpy(forgery.bytes.data() + offsetof(Item, next), &nowhere, sizeof nowhere);
    forgeries.push_back(forgery);
  }

  // One page goes to a class of large values, which fill it and another one.
  for (std::size_t i = 0; i < 2 * in_page; ++i) REQUIRE(cache.Delete(name("k", 1000 + i)));
  constexpr std::size_t kLargeBytes = kPageBytes / 2 - 4096;
  REQUIRE(cache.Set("v0", std::string(kLargeBytes, 'v')) == StoreStatus::kStored);
  const ClassId large_class = cache.See("v0")->class_id;
  for (std::size_t i = 1; i < 4; ++i) {
    REQUIRE(cache.Set(name("v", i), std::string(kLargeBytes, 'v')) == StoreStatus::kStored);
  }
  REQUIRE(cache.Class(large_class).pages == 2);
  REQUIRE(cache.Class(small_class).pages == 1);

  // Their bytes look like the items that the walk met, where those were.
  std::vector<std::string> in_moved_page;
  std::size_t forged = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    std::string value(kLargeBytes, 'v');
    const std::byte* const begin = header_of(name("v", i)) + sizeof(Item) + 2;
    bool has_forgery = false;
    for (const Forgery& forgery : forgeries) {
      if (forgery.at < begin || forgery.at + kForgedBytes > begin + value.size()) continue;
      std::memcpy(value.data() + (forgery.at - begin), forgery.bytes.data(), kForgedBytes);
      has_forgery = true;
      ++forged;
    }
    if (has_forgery) in_moved_page.push_back(name("v", i));
    REQUIRE(cache.Set(name("v", i), value) == StoreStatus::kStored);
    REQUIRE(header_of(name("v", i)) + sizeof(Item) + 2 == begin);
  }
  REQUIRE(forged > 0);

  // The page comes back, empty: of the other one a value stays.
  const std::byte* const moved = header_of(in_moved_page.front());
  std::string kept;
  std::ptrdiff_t farthest = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const std::ptrdiff_t distance = std::abs(header_of(name("v", i)) - moved);
    if (distance > farthest) kept = name("v", i);
    farthest = std::max(farthest, distance);
  }
  const std::byte* const kept_at = header_of(kept);
  for (std::size_t i = 0; i < 4; ++i) {
    if (name("v", i) != kept) REQUIRE(cache.Delete(name("v", i)));
  }
  REQUIRE(cache.cache().page_mover().Reassign(large_class, small_class) ==
          ReassignStatus::kStarted);
  cache.cache().BalancePages(cache.lane());
  REQUIRE(cache.Class(small_class).pages == 2);
  REQUIRE(header_of(kept) == kept_at);

  CHECK(cache.cache().walker().SnapshotQueue(walk, cache.lane(), snapshots) == 0);
  CHECK(walk.is_at_end);
  cache.cache().CheckInvariants();
}

TEST_CASE("without eviction a page leaves only a class that has room for its items",
          "[slab][cache][pages]") {
  CacheFixture cache({.memory_bytes = 2 * kMiB, .evict = false});
  const int count = cache.Fill(900);
  const ClassId from = cache.See("fill0")->class_id;
  const auto items = cache.items();
  CHECK(cache.cache().page_mover().Reassign(from, 3) == ReassignStatus::kNoSpare);
  for (int i = 0; i < count; i += 2) (void)cache.Delete("fill" + std::to_string(i));
  CHECK(cache.cache().page_mover().Reassign(from, 3) == ReassignStatus::kStarted);
  cache.cache().BalancePages(cache.lane());
  CHECK(cache.Class(3).pages == 1);
  CHECK(cache.items() == items / 2);
  CHECK(cache.Set("small", std::string(20, 'v')) == StoreStatus::kStored);
  cache.cache().CheckInvariants();
}

TEST_CASE_METHOD(CacheFixture, "a page is reassigned between classes that exist",
                 "[slab][cache][pages]") {
  const auto end = static_cast<std::int64_t>(cache().engine().classes.ladder().class_count()) + 1;
  CHECK(cache().page_mover().Reassign(1, 1) == ReassignStatus::kSame);
  CHECK(cache().page_mover().Reassign(1, end) == ReassignStatus::kBadClass);
  CHECK(cache().page_mover().Reassign(end, 1) == ReassignStatus::kBadClass);
  CHECK(cache().page_mover().Reassign(-2, 1) == ReassignStatus::kBadClass);
  CHECK(cache().page_mover().Reassign(-1, 1) ==
        ReassignStatus::kBadClass);  // None has a page to give.
  CHECK(cache().page_mover().Reassign(0, 1) == ReassignStatus::kNoSpare);
  CHECK(cache().page_mover().Reassign(1, 2) == ReassignStatus::kNoSpare);
}

TEST_CASE("a page that has become the only one of its class stays", "[slab][cache][pages]") {
  std::function<void()> when_chosen;
  CacheFixture cache({.memory_bytes = 4 * kMiB, .pause = [&](Moment moment) {
                        if (moment == Moment::kPageChosen && when_chosen)
                          std::exchange(when_chosen, nullptr)();
                      }});
  const std::string value = Noise(31'000, 1);
  REQUIRE(cache.Set("k0", value) == StoreStatus::kStored);
  const ClassId from = cache.See("k0")->class_id;
  int count = 1;
  for (; cache.Class(from).pages < 2; ++count) {
    REQUIRE(cache.Set("k" + std::to_string(count), value) == StoreStatus::kStored);
  }
  // The second page has one item, so it is chosen. Then the first one becomes empty, and goes back
  // to the arena.
  const std::string last = "k" + std::to_string(count - 1);
  when_chosen = [&] {
    for (int i = 0; i < count - 1; ++i) (void)cache.Delete("k" + std::to_string(i));
  };
  REQUIRE(cache.cache().page_mover().Reassign(from, 0) == ReassignStatus::kStarted);
  cache.cache().BalancePages(cache.lane());
  CHECK(cache.Look(last) == Presence::kHit);
  CHECK(cache.Class(from).pages == 1);
  CHECK(cache.cache().page_mover().pages_moved() == 0);
  // The class has no page to give any more: the request ends.
  cache.cache().BalancePages(cache.lane());
  CHECK_FALSE(cache.cache().page_mover().stats().is_running);
  CHECK(cache.Look(last) == Presence::kHit);
  cache.cache().CheckInvariants();
}

// Stores 10,000 values of sizes log-uniform from 100 B to the item limit into memory that is full
// of small ones; the number of those that failed, or read back as something else.
int StoreAllSizes(CacheFixture& cache, std::uint32_t item_bytes_max) {
  constexpr int kStores = 10'000;
  cache.Fill(100);
  std::mt19937_64 random(1);
  const std::string noise = Noise(item_bytes_max, 2);
  const double limit = static_cast<double>(item_bytes_max) - 100;
  std::uniform_real_distribution<double> exponent(std::log(100.0), std::log(limit));
  int faults = 0;
  for (int i = 0; i < kStores; ++i) {
    const auto bytes = static_cast<std::size_t>(std::exp(exponent(random)));
    const std::string_view value =
        std::string_view(noise).substr(random() % (noise.size() - bytes + 1), bytes);
    const std::string key = "size" + std::to_string(i);
    if (cache.Set(key, value) != StoreStatus::kStored) ++faults;
    if (i % 10 == 0 && cache.Get(key) != value) ++faults;
    if (i % 100 == 0) cache.cache().BalancePages(cache.lane());
  }
  return faults;
}

TEST_CASE("no store of any size fails in a full cache of small items", "[slab][cache][pages]") {
  CacheFixture cache({.memory_bytes = 64 * kMiB});
  CHECK(StoreAllSizes(cache, 1 << 20) == 0);
  cache.cache().CheckInvariants();
}

// Some minutes in a debug build: larder_tests "[.large]".
TEST_CASE("no store up to 128 MiB fails in a full gigabyte of small items", "[.large]") {
  constexpr std::uint32_t kItemBytesMax = 128 << 20;
  CacheFixture cache({.memory_bytes = 1024 * kMiB, .item_bytes_max = kItemBytesMax});
  CHECK(StoreAllSizes(cache, kItemBytesMax) == 0);
  cache.cache().CheckInvariants();
}

}  // namespace
}  // namespace larder::slab
