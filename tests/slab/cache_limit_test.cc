// What happens when memory is full, and when its limit changes.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/mebibyte.h"
#include "tests/slab/cache_fixture.h"
#include "tests/slab/turns.h"

namespace larder::slab {
namespace {

// --- Full memory -------------------------------------------------------------------------------

TEST_CASE("any size can be stored when memory is full of another", "[slab][cache]") {
  const std::uint64_t memory_bytes = kMiB * GENERATE(2U, 4U);
  const std::size_t filled_with = GENERATE(200U, 250'000U);
  CAPTURE(memory_bytes, filled_with);
  CacheFixture cache({.memory_bytes = memory_bytes});
  cache.Fill(filled_with, 1);
  const std::string noise = Noise(kMiB, 1);
  const std::size_t bytes_max = kMiB - Item::OverheadBytes(3);
  for (std::size_t size = 1; size < bytes_max; size += 1 + size / 5) {
    CAPTURE(size);
    const std::string_view value = std::string_view(noise).substr(size % 13, size);
    REQUIRE(cache.Set("key", value) == StoreStatus::kStored);
    REQUIRE((cache.Get("key") == value));
  }
  REQUIRE(cache.Set("key", std::string_view(noise).substr(0, bytes_max)) == StoreStatus::kStored);
  CHECK(cache.cache().arena().pages_in_use() <= memory_bytes / kPageBytes);
  cache.cache().CheckInvariants();
}

TEST_CASE("what an item will take of the memory is known before it is reserved", "[slab][cache]") {
  const bool is_plain_ladder = GENERATE(false, true);
  const bool has_chosen_cas = GENERATE(false, true);
  const std::uint32_t value_bytes = GENERATE(1000U, 30'000U, 70'000U, 100'000U, 131'000U, 131'048U,
                                             131'072U, 262'000U, 1'000'000U);
  CAPTURE(is_plain_ladder, has_chosen_cas, value_bytes);
  CacheFixture fixture({.growth_factor = is_plain_ladder ? std::optional(1.25) : std::nullopt});
  Cache& cache = fixture.cache();
  const ItemSpec spec{
      .key = {"key", cache.Hash("key")}, .client_flags = 1, .value_bytes = value_bytes};
  const std::optional<std::uint64_t> cas = has_chosen_cas ? std::optional(7U) : std::nullopt;
  const std::uint64_t each = cache.ReservedBytes(spec, cas);
  std::vector<ReservedItem> reserved;
  std::uint64_t told = 0;
  for (; told < 16 * kMiB; told += each) {
    reserved.push_back(std::move(*cache.Reserve(spec, fixture.lane(), cas)));
  }
  // A large value is of two classes, neither of which has filled its last page.
  const std::uint64_t taken = std::uint64_t{cache.arena().pages_in_use()} * kPageBytes;
  CHECK(taken + kPageBytes / 8 >= told);
  CHECK(taken <= told + 2 * kPageBytes);
}

TEST_CASE("every size stores and reads back while memory is full", "[slab][cache][property]") {
  const unsigned seed = GENERATE(1U, 2U);
  CAPTURE(seed);
  CacheFixture cache({.memory_bytes = 3 * kMiB});
  std::mt19937_64 random(seed);
  const std::string noise = Noise(kMiB, seed);
  const std::size_t bytes_max = kMiB - Item::OverheadBytes(7);
  for (int turn = 0; turn < Turns(2000); ++turn) {
    // As many of 10-20 bytes as of 100-200 kB.
    const double fraction = static_cast<double>(random() % 10'000) / 10'000;
    const auto size = static_cast<std::size_t>(std::pow(bytes_max, fraction));
    CAPTURE(turn, size);
    const std::string_view value = std::string_view(noise).substr(size % 13, size);
    const std::string key = std::to_string(1'000'000 + random() % 1000);
    REQUIRE(cache.Set(key, value) == StoreStatus::kStored);
    REQUIRE((cache.Get(key) == value));
  }
  CHECK(cache.evicted() > 0);
  cache.cache().CheckInvariants();
}

TEST_CASE("the item that was not used for longest goes first", "[slab][cache]") {
  CacheFixture cache({.memory_bytes = kPageBytes});
  const int chunks = kPageBytes / 1000;
  const std::string value = Noise(900, 1);
  for (int i = 0; i < 100; ++i)
    REQUIRE(cache.Set("k" + std::to_string(i), value) == StoreStatus::kStored);
  constexpr int kOld = 75;  // Hits of the youngest quarter do not count.
  for (int i = 0; i < kOld; i += 10) REQUIRE(cache.Hit("k" + std::to_string(i)));
  for (int i = 0; i < chunks; ++i) (void)cache.Set("new" + std::to_string(i), value);
  int survivors = 0;
  for (int i = 0; i < 100; ++i) {
    const bool survived = cache.Look("k" + std::to_string(i)) == Presence::kHit;
    if (i % 10 == 0 && i < kOld) CHECK(survived);
    survivors += survived ? 1 : 0;
  }
  CHECK(survivors < 50);
  CHECK(cache.Class(cache.See("k0")->class_id).stats.evicted_unfetched == cache.evicted());
}

TEST_CASE("a store may evict from the very bucket that it holds", "[slab][cache][property]") {
  CacheFixture cache({.memory_bytes = 2 * kPageBytes});
  std::vector<std::string> keys;  // All in one bucket, which is a chain.
  for (int i = 0; keys.size() < 50; ++i) {
    const std::string key = std::to_string(i);
    if (cache.cache().Hash(key) % 4096 == 7) keys.push_back(key);
  }
  std::mt19937 random(1);
  std::map<std::string, std::string> last;
  std::vector<CacheFixture::Pinned> pins;
  // Not fewer under a sanitizer: evictions are rare, because classes of little use stay closed.
  for (int turn = 0; turn < 5000; ++turn) {
    const std::string& key = keys[random() % keys.size()];
    // A pinned item is not overwritten in place: its replacement takes a chunk, from another item.
    if (random() % 2 == 0) pins.push_back(cache.Pin(key));
    if (pins.size() > 3) pins.erase(pins.begin());
    const std::string value = Noise(9000 + random() % 20, random());
    REQUIRE(cache.Set(key, value) == StoreStatus::kStored);
    last[key] = value;
    REQUIRE((cache.Get(key) == value));
    const std::string& other = keys[random() % keys.size()];
    const auto seen = cache.Get(other);
    REQUIRE((!seen || seen == last[other]));
  }
  pins.clear();
  CHECK(cache.evicted() > 50);
  cache.cache().CheckInvariants();
}

// A key that sits in main, having been hit on probation.
void PromoteToMain(CacheFixture& cache, const std::string& key) {
  REQUIRE(cache.Set(key, Noise(900, 1)) == StoreStatus::kStored);
  for (int i = 0; i < 150; ++i) (void)cache.Set("before" + std::to_string(i), Noise(900, 1));
  REQUIRE(cache.Hit(key));
  for (int i = 0; i < 1000; ++i) (void)cache.Set("behind" + std::to_string(i), Noise(900, 1));
  REQUIRE(cache.Class(cache.See(key)->class_id).main_items >= 1);
}

Segment SegmentOf(CacheFixture& cache, const std::string& key) {
  Segment segment = Segment::kProbation;
  REQUIRE(cache.Visit(key, [&](Item& item) { segment = item.eviction_state().segment(); }) ==
          Presence::kHit);
  return segment;
}

TEST_CASE("an item that is overwritten stays where it is", "[slab][cache][eviction]") {
  CacheFixture cache({.memory_bytes = kPageBytes * 4, .item_bytes_max = kPageBytes});
  PromoteToMain(cache, "k");
  CHECK(SegmentOf(cache, "k") == Segment::kMain);
  CHECK(cache.Set("k", Noise(901, 2)) == StoreStatus::kStored);  // In place.
  CHECK(SegmentOf(cache, "k") == Segment::kMain);
  {
    const auto pin = cache.Pin("k");
    CHECK(cache.Set("k", Noise(902, 3)) == StoreStatus::kStored);  // In a new chunk.
    CHECK(SegmentOf(cache, "k") == Segment::kMain);
  }
  CHECK(cache.ReserveAndPublish({.key = "k", .value = Noise(903, 4)}) == StoreStatus::kStored);
  CHECK(SegmentOf(cache, "k") == Segment::kMain);
  const ClassId before = cache.See("k")->class_id;
  CHECK(cache.Append("k", Noise(400, 5)) == StoreStatus::kStored);  // In another class.
  CHECK(cache.See("k")->class_id != before);
  CHECK(SegmentOf(cache, "k") == Segment::kMain);
  CHECK(cache.Set("k", Noise(900, 6)) == StoreStatus::kStored);
  CHECK(SegmentOf(cache, "k") == Segment::kMain);
  cache.cache().CheckInvariants();
}

TEST_CASE("an item that is deleted leaves no ghost, and one that expired neither",
          "[slab][cache][eviction]") {
  CacheFixture cache({.memory_bytes = kPageBytes, .item_bytes_max = kPageBytes / 2});
  REQUIRE(cache.Store({.key = "dies", .value = Noise(900, 1), .expires_at_s = kSoonS}) ==
          StoreStatus::kStored);
  REQUIRE(cache.Set("deleted", Noise(900, 1)) == StoreStatus::kStored);
  REQUIRE(cache.Set("evicted", Noise(900, 1)) == StoreStatus::kStored);
  REQUIRE(cache.Delete("deleted"));
  cache.lane().now_s = kSoonS;
  const std::uint64_t chunks = kPageBytes / 1000;
  for (std::uint64_t i = 0; i < chunks + 5; ++i)
    (void)cache.Set("k" + std::to_string(i), Noise(900, 1));
  for (const char* key : {"dies", "deleted", "evicted"}) {
    CAPTURE(key);
    REQUIRE_FALSE(cache.Get(key));
    REQUIRE(cache.Set(key, Noise(900, 1)) == StoreStatus::kStored);
    CHECK((SegmentOf(cache, key) == Segment::kMain) == (std::string_view(key) == "evicted"));
  }
}

TEST_CASE("under lru every use counts, and a store is one", "[slab][cache][eviction]") {
  CacheFixture cache({.memory_bytes = kPageBytes,
                      .item_bytes_max = kPageBytes / 2,
                      .eviction = EvictionPolicy::kLru});
  const auto key = [](int i) { return "k" + std::to_string(i); };
  int stored = 0;
  while (cache.evicted() == 0)
    REQUIRE(cache.Set(key(stored++), Noise(900, 1)) == StoreStatus::kStored);
  // k0 is gone.
  CHECK(cache.Hit(key(1)));
  CHECK(cache.Set(key(2), Noise(900, 2)) == StoreStatus::kStored);
  CHECK(cache.Look(key(3)) == Presence::kHit);  // No use.
  for (int i = 0; i < 3; ++i)
    REQUIRE(cache.Set(key(stored++), Noise(900, 1)) == StoreStatus::kStored);
  CHECK(cache.Get(key(1)));
  CHECK(cache.Get(key(2)));
  for (const int gone : {3, 4, 5}) CHECK_FALSE(cache.Get(key(gone)));
  CHECK(cache.Get(key(6)));
  cache.cache().CheckInvariants();
}

TEST_CASE("dead items count as reclaimed, not as evicted", "[slab][cache]") {
  CacheFixture cache({.memory_bytes = kPageBytes});
  const std::string value = Noise(900, 1);
  for (int i = 0; i < 200; ++i) {
    REQUIRE(cache.Store({.key = std::to_string(i), .value = value, .expires_at_s = kSoonS}) ==
            StoreStatus::kStored);
  }
  cache.lane().now_s = kSoonS;
  for (int i = 1000; i < 1200; ++i) {
    REQUIRE(cache.Set(std::to_string(i), value) == StoreStatus::kStored);
  }
  const ClassSnapshot snapshot = cache.Class(cache.See("1100")->class_id);
  CHECK(snapshot.stats.evicted == 0);
  CHECK(snapshot.stats.reclaimed > 0);
}

TEST_CASE("without eviction a full cache refuses, and set removes the old item", "[slab][cache]") {
  CacheFixture cache({.memory_bytes = kPageBytes, .evict = false});
  const std::string value = Noise(900, 1);
  int stored = 0;
  while (cache.Add(std::to_string(stored), value) == StoreStatus::kStored) ++stored;
  CHECK(stored > 200);
  CHECK(cache.Add("one more", value) == StoreStatus::kNoMemory);
  CHECK(cache.Set("one more", value) == StoreStatus::kNoMemory);
  CHECK(cache.Replace("1", Noise(5000, 1)) == StoreStatus::kNoMemory);
  CHECK(cache.Append("1", Noise(5000, 1)) == StoreStatus::kNoMemory);
  CHECK(cache.Append("1", Noise(800, 1)) == StoreStatus::kNoMemory);
  CHECK((cache.Get("1") == value));
  CHECK(cache.Set("1", Noise(900, 2)) == StoreStatus::kStored);  // In place.
  CHECK((cache.Get("1") == Noise(900, 2)));

  const std::string too_much = Noise(GENERATE(5000U, 300'000U), 1);
  CHECK(cache.Set("1", too_much) == StoreStatus::kNoMemory);
  CHECK(cache.Look("1") == Presence::kMiss);
  CHECK(cache.Set("one more", value) == StoreStatus::kStored);
  CHECK(cache.evicted() == 0);
  cache.cache().CheckInvariants();
}

TEST_CASE("without eviction, memory that deletes emptied serves any size", "[slab][cache]") {
  CacheFixture cache({.memory_bytes = 8 * kPageBytes, .evict = false});
  int stored = 0;
  while (cache.Add(std::to_string(stored), Noise(400, 1)) == StoreStatus::kStored) ++stored;
  REQUIRE(cache.Set("large", Noise(5000, 1)) == StoreStatus::kNoMemory);
  for (int i = 0; i < stored; ++i) REQUIRE(cache.Delete(std::to_string(i)));
  // One page stays with the class, for its next item.
  CHECK(cache.cache().arena().pages_in_use() == 1);
  CHECK(cache.Set("large", Noise(5000, 1)) == StoreStatus::kStored);
  cache.cache().CheckInvariants();
}

TEST_CASE("an item larger than all memory is refused and leaves no trace", "[slab][cache]") {
  CacheFixture cache({.memory_bytes = 2 * kPageBytes});
  REQUIRE(cache.Set("small", "v") == StoreStatus::kStored);
  CHECK(cache.Set("k", Noise(700'000, 1)) == StoreStatus::kNoMemory);
  CHECK(cache.Look("k") == Presence::kMiss);
  CHECK(cache.Set("small", "w") == StoreStatus::kStored);
  CHECK(cache.used_chunks() == 1);
  cache.cache().CheckInvariants();
}

// --- Pages and limits --------------------------------------------------------------------------

TEST_CASE("a lowered limit is enforced by Maintain and a raised one used at once",
          "[slab][cache]") {
  CacheFixture cache({.memory_bytes = 4 * kMiB});
  const std::size_t value_bytes = GENERATE(200U, 5000U, 400'000U);
  CAPTURE(value_bytes);
  cache.Fill(value_bytes, 1);
  const std::uint64_t full = cache.items();
  REQUIRE(cache.cache().SetMemoryLimit(kMiB));
  CHECK(cache.cache().memory_limit_bytes() == kMiB);
  cache.cache().Maintain(cache.lane());
  CHECK(cache.cache().arena().pages_in_use() <= kMiB / kPageBytes);
  cache.cache().CheckInvariants();
  CHECK(cache.items() <= full / 3);
  CHECK(cache.Set("k", "v") == StoreStatus::kStored);

  REQUIRE(cache.cache().SetMemoryLimit(6 * kMiB));
  cache.Fill(value_bytes, 1);
  CHECK(cache.items() > full);
  cache.cache().CheckInvariants();
}

TEST_CASE("stores go on between a lowered limit and its enforcement", "[slab][cache]") {
  CacheFixture cache({.memory_bytes = 8 * kMiB});
  cache.Fill(1000, 1);
  REQUIRE(cache.cache().SetMemoryLimit(2 * kMiB));
  cache.Fill(1000, 1);
  for (int i = 0; i < 100; ++i) {
    REQUIRE(cache.Set(std::to_string(i), Noise(1000, 2)) == StoreStatus::kStored);
  }
  cache.cache().Maintain(cache.lane());
  CHECK(cache.cache().arena().pages_in_use() <= 2 * kMiB / kPageBytes);
  cache.cache().CheckInvariants();
}

TEST_CASE_METHOD(CacheFixture, "a limit out of bounds is refused", "[slab][cache]") {
  CHECK_FALSE(cache().SetMemoryLimit(0));
  CHECK_FALSE(cache().SetMemoryLimit(std::uint64_t{1} << 50));
  CHECK(cache().memory_limit_bytes() == 64 * kMiB);
}

TEST_CASE("pinned items delay the enforcement of a limit, and do not prevent it", "[slab][cache]") {
  CacheFixture cache({.memory_bytes = 4 * kMiB});
  cache.Fill(900, 1);
  std::vector<CacheFixture::Pinned> pins;
  for (int i = 0; i < 4000; i += 50) {
    auto pinned = cache.Pin("fill" + std::to_string(i));
    if (pinned.handle) pins.push_back(std::move(pinned));
  }
  REQUIRE(pins.size() > 20);
  REQUIRE(cache.cache().SetMemoryLimit(2 * kMiB));
  cache.cache().Maintain(cache.lane());
  for (const auto& pinned : pins) CHECK((ReadAll(pinned.value) == Noise(900, 1)));
  pins.clear();
  cache.cache().Maintain(cache.lane());
  CHECK(cache.cache().arena().pages_in_use() <= 2 * kMiB / kPageBytes);
  cache.cache().CheckInvariants();
}

TEST_CASE("a page that held a reserved item leaves once it is published", "[slab][cache]") {
  CacheFixture cache({.memory_bytes = 2 * kMiB});
  std::vector<ReservedItem> reserved;
  for (const std::size_t value_bytes : {900U, 9000U, 90'000U}) {
    const std::string key = std::to_string(value_bytes);
    auto item = cache.cache().Reserve(cache.Spec(key, value_bytes), cache.lane());
    REQUIRE(item);
    WriteAll(Noise(value_bytes, 2), item->value());
    reserved.push_back(std::move(*item));
  }
  REQUIRE(cache.cache().SetMemoryLimit(kPageBytes));
  cache.cache().Maintain(cache.lane());
  CHECK(cache.cache().arena().pages_in_use() == 3);
  CHECK(cache.cache().page_mover().pages_moved() == 0);
  for (ReservedItem& item : reserved) {
    cache.cache().Publish(std::move(item), {}, cache.lane());
  }
  CHECK((cache.Get("90000") == Noise(90'000, 2)));
  cache.cache().Maintain(cache.lane());
  CHECK(cache.cache().arena().pages_in_use() == 1);
  CHECK(cache.cache().page_mover().pages_moved() == 2);
  cache.cache().CheckInvariants();
}

TEST_CASE("pages that cannot leave yet do not hide the others from who needs one",
          "[slab][cache]") {
  CacheFixture cache({.memory_bytes = 8 * kPageBytes});
  // Six pages with a pinned item each, then two pages of another class.
  std::vector<CacheFixture::Pinned> pins;
  const std::string large = Noise(100'000, 1);
  for (int i = 0; i < 12; ++i) {
    REQUIRE(cache.Set("large" + std::to_string(i), large) == StoreStatus::kStored);
    pins.push_back(cache.Pin("large" + std::to_string(i)));
  }
  const std::string medium = Noise(10'000, 1);
  for (int i = 0; i < 50; ++i) {
    REQUIRE(cache.Set("medium" + std::to_string(i), medium) == StoreStatus::kStored);
  }
  REQUIRE(cache.cache().arena().pages_in_use() == 8);
  CHECK(cache.Set("small", "v") == StoreStatus::kStored);
  for (const auto& pinned : pins) CHECK((ReadAll(pinned.value) == large));
}

TEST_CASE("a large item is made room for without giving up pages of its own", "[slab][cache]") {
  // The last piece needs a page of another class, when the item's other pieces lie in most pages.
  CacheFixture cache({.memory_bytes = 8 * kPageBytes});
  for (int round = 0; round < 10; ++round) {
    const std::string large = Noise(kMiB - 100 - static_cast<std::size_t>(round) * 18'000, 1);
    REQUIRE(cache.Set("large" + std::to_string(round % 2), large) == StoreStatus::kStored);
    REQUIRE((cache.Get("large" + std::to_string(round % 2)) == large));
  }
  cache.cache().CheckInvariants();
}

}  // namespace
}  // namespace larder::slab
