// Why a key is not there any more, and how old the items are that are.
#include <catch2/catch.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "tests/mebibyte.h"
#include "tests/slab/cache_fixture.h"

namespace larder::slab {
namespace {

class RemovalRecordsFixture : public CacheFixture {
 public:
  RemovalRecordsFixture() : CacheFixture({.memory_bytes = 4 * kMiB}) { Pass(0); }
  explicit RemovalRecordsFixture(const Cache::Options& options) : CacheFixture(options) { Pass(0); }

  // Seconds, one after the other.
  void Pass(std::uint32_t seconds) {
    for (std::uint32_t i = 0; i < seconds; ++i) cache().Tick(++lane().now_s);
    if (seconds == 0) cache().Tick(lane().now_s);
  }
  std::optional<RemovalRecord> Left(std::string_view key) {
    return cache().LastRemovalOf(Key(key).hash, lane());
  }
  // Stores others of its size until the key leaves.
  void PushOut(std::string_view key) {
    for (int i = 0; i < 100'000 && !Left(key); ++i) {
      std::string other = std::to_string(i);
      other.resize(8, '.');
      REQUIRE(Set(other, std::string(kPushedBytes - other.size(), 'v')) == StoreStatus::kStored);
    }
    REQUIRE(Left(key));
  }
  static constexpr std::size_t kPushedBytes = 100;  // Key and value.

  std::uint32_t Age(std::string_view key) {
    std::uint32_t age_s = 0;
    REQUIRE(Visit(key, [&](Item& item) { age_s = cache().AgeOf(item, lane()); }) == Presence::kHit);
    return age_s;
  }
};

TEST_CASE_METHOD(RemovalRecordsFixture, "a key that was never there has not left",
                 "[slab][cache][removal_records]") {
  CHECK_FALSE(Left("k"));
  REQUIRE(Set("k", "v") == StoreStatus::kStored);
  REQUIRE(Set("k", "a longer value that takes another chunk") == StoreStatus::kStored);
  CHECK_FALSE(Left("k"));
  CHECK_FALSE(Delete("other"));
  CHECK_FALSE(Left("other"));
}

TEST_CASE_METHOD(RemovalRecordsFixture, "an evicted key is told with class, age and idle time",
                 "[slab][cache][removal_records]") {
  const ClassId id = StoreWithClass({.key = "k", .value = Noise(kPushedBytes - 1, 1)}).class_id;
  Pass(2);
  // A use that does not count, or it would stay.
  REQUIRE(Visit("k", [&](Item& item) { item.set_last_access(lane().now_s); }) == Presence::kHit);
  Pass(3);
  PushOut("k");
  REQUIRE(Look("k") == Presence::kMiss);
  Pass(4);
  CHECK(
      Left("k") ==
      RemovalRecord{
          .reason = RemovalReason::kEvicted, .class_id = id, .idle_s = 3, .age_s = 5, .ago_s = 4});
}

// Those who leave with a page are the ones that were next to go, where the class may evict.
TEST_CASE("a key whose page left is told so", "[slab][cache][removal_records]") {
  const bool evicts = GENERATE(true, false);
  CAPTURE(evicts);
  RemovalRecordsFixture cache({.memory_bytes = 4 * kMiB, .evict = evicts});
  constexpr int kItems = 6000;
  const std::string value = Noise(500, 1);
  for (int i = 0; i < kItems; ++i) {
    REQUIRE(cache.Set("fill" + std::to_string(i), value) == StoreStatus::kStored);
  }
  REQUIRE(cache.evicted() == 0);
  REQUIRE(cache.cache().SetMemoryLimit(2 * kMiB));
  for (int i = 0; i < 20; ++i) cache.cache().Maintain(cache.lane());
  std::uint64_t gone = 0;
  std::uint64_t present = 0;
  for (int i = 0; i < kItems; ++i) {
    const std::string key = "fill" + std::to_string(i);
    const auto left = cache.Left(key);
    if (cache.Look(key) == Presence::kHit) ++present;
    if (left) ++gone;
    const bool may_be_evicted = evicts && left && left->reason == RemovalReason::kEvicted;
    if (left && left->reason != RemovalReason::kMoved && !may_be_evicted) FAIL(key);
  }
  CHECK(gone > 100);
  CHECK(present > 100);
}

TEST_CASE_METHOD(RemovalRecordsFixture, "an expired key is told since when",
                 "[slab][cache][removal_records]") {
  REQUIRE(Store({.key = "k", .value = "v", .expires_at_s = kStartS + 4}) == StoreStatus::kStored);
  Pass(3);
  CHECK_FALSE(Left("k"));
  Pass(3);
  REQUIRE(Look("k") == Presence::kExpired);
  const auto left = Left("k");
  REQUIRE(left);
  CHECK(left->reason == RemovalReason::kExpired);
  CHECK(left->idle_s == 4);
  CHECK(left->age_s == 4);
  CHECK(left->ago_s == 2);
}

TEST_CASE_METHOD(RemovalRecordsFixture, "a key stored with an expiry long past expired when stored",
                 "[slab][cache][removal_records]") {
  REQUIRE(Store({.key = "k", .value = "v", .expires_at_s = 1}) == StoreStatus::kStored);
  Pass(3);
  REQUIRE(Look("k") == Presence::kExpired);
  CHECK(Left("k")->ago_s == 3);
  CHECK(Left("k")->age_s == 0);
}

TEST_CASE_METHOD(RemovalRecordsFixture, "a store that finds an expired key leaves a note too",
                 "[slab][cache][removal_records]") {
  REQUIRE(Store({.key = "k", .value = "v", .expires_at_s = kStartS + 1}) == StoreStatus::kStored);
  Pass(2);
  CHECK(Replace("k", "w") == StoreStatus::kNotStored);
  CHECK(Left("k")->reason == RemovalReason::kExpired);
}

TEST_CASE_METHOD(RemovalRecordsFixture, "an eviction that meets an expired item calls it expired",
                 "[slab][cache][removal_records]") {
  REQUIRE(Store({.key = "k", .value = Noise(kPushedBytes - 1, 1), .expires_at_s = kStartS + 1}) ==
          StoreStatus::kStored);
  Pass(2);
  PushOut("k");
  CHECK(Left("k")->reason == RemovalReason::kExpired);
}

TEST_CASE_METHOD(RemovalRecordsFixture, "a deleted key is told, until it leaves otherwise",
                 "[slab][cache][removal_records]") {
  REQUIRE(Set("k", "v") == StoreStatus::kStored);
  REQUIRE(Delete("k"));
  CHECK(Left("k")->reason == RemovalReason::kDeleted);
  REQUIRE(Set("k", "v") == StoreStatus::kStored);
  const std::uint64_t cas = See("k")->cas;
  CHECK(DeleteIfUnchanged("k", cas + 1).status == DeleteStatus::kExists);
  CHECK(DeleteIfUnchanged("k", cas).status == DeleteStatus::kDeleted);
  CHECK(Left("k")->reason == RemovalReason::kDeleted);
  REQUIRE(Store({.key = "k", .value = "v", .expires_at_s = kStartS + 1}) == StoreStatus::kStored);
  Pass(1);
  CHECK(Look("k") == Presence::kExpired);
  CHECK(Left("k")->reason == RemovalReason::kExpired);
}

TEST_CASE_METHOD(RemovalRecordsFixture, "a flushed key is told since when",
                 "[slab][cache][removal_records]") {
  REQUIRE(Set("k", "v") == StoreStatus::kStored);
  Pass(3);
  cache().FlushAll();
  Pass(2);
  REQUIRE(Look("k") == Presence::kFlushed);
  const auto left = Left("k");
  REQUIRE(left);
  CHECK(left->reason == RemovalReason::kFlushed);
  CHECK(left->age_s == 3);
  CHECK(left->ago_s == 2);
}

TEST_CASE("a key whose set was refused is told why", "[slab][cache][removal_records]") {
  RemovalRecordsFixture cache({.memory_bytes = 4 * kMiB, .item_bytes_max = 2000});
  const std::string value(3000, 'v');
  REQUIRE(cache.Set("old", "v") == StoreStatus::kStored);
  cache.Pass(2);
  REQUIRE(cache.Set("old", value) == StoreStatus::kTooLarge);
  REQUIRE(cache.Set("new", value) == StoreStatus::kTooLarge);
  const auto old_left = cache.Left("old");
  REQUIRE(old_left);
  CHECK(old_left->reason == RemovalReason::kTooLarge);
  CHECK(old_left->class_id != 0);
  CHECK(old_left->age_s == 2);
  CHECK(cache.Left("new") == RemovalRecord{.reason = RemovalReason::kTooLarge});
  // Another store that is refused takes nothing away.
  REQUIRE(cache.Set("k", "v") == StoreStatus::kStored);
  CHECK(cache.Add("k", value) == StoreStatus::kTooLarge);
  CHECK_FALSE(cache.Left("k"));
  // What is known of the item stays.
  REQUIRE(cache.Set("old", value) == StoreStatus::kTooLarge);
  CHECK(cache.Left("old") == old_left);
}

TEST_CASE("a key for which there was no memory is told so", "[slab][cache][removal_records]") {
  RemovalRecordsFixture cache({.memory_bytes = kMiB, .evict = false});
  (void)cache.Fill(500);
  REQUIRE(cache.Set("k", std::string(500, 'v')) == StoreStatus::kNoMemory);
  CHECK(cache.Left("k") == RemovalRecord{.reason = RemovalReason::kNoMemory});
}

TEST_CASE_METHOD(RemovalRecordsFixture, "the forbidden key leaves no note",
                 "[slab][cache][removal_records]") {
  RemovalRecordsFixture cache({.memory_bytes = 4 * kMiB, .forbidden_key = "nobody's"});
  CHECK(cache.Set("nobody's", "v") == StoreStatus::kForbidden);
  CHECK_FALSE(cache.Left("nobody's"));
}

TEST_CASE_METHOD(RemovalRecordsFixture, "an item's age counts from its last write",
                 "[slab][cache][write_times]") {
  REQUIRE(Set("old", "v") == StoreStatus::kStored);
  Pass(5);
  REQUIRE(Set("k", "v") == StoreStatus::kStored);
  CHECK(Age("k") == 0);
  CHECK(Age("old") == 5);
  Pass(7);
  REQUIRE(Hit("k"));
  CHECK(Age("k") == 7);
  CHECK(Age("old") == 12);
  REQUIRE(Set("old", "w") == StoreStatus::kStored);
  CHECK(Age("old") == 0);
  CHECK(Age("k") == 7);
}

TEST_CASE_METHOD(RemovalRecordsFixture, "ages are right whatever lane wrote, and however rarely",
                 "[slab][cache][write_times]") {
  Lane& first = lane();
  Lane& second = NewLane();
  REQUIRE(Set("a", "v") == StoreStatus::kStored);
  Use(second);
  second.now_s = first.now_s;
  REQUIRE(Set("b", "v") == StoreStatus::kStored);
  // The lane has numbers of its range left, which are not drawn any more in another second.
  Pass(10);
  REQUIRE(Set("c", "v") == StoreStatus::kStored);
  Pass(1);
  CHECK(Age("a") == 11);
  CHECK(Age("b") == 11);
  CHECK(Age("c") == 1);
}

TEST_CASE_METHOD(RemovalRecordsFixture, "seconds change nothing about a flush",
                 "[slab][cache][flush]") {
  REQUIRE(Set("a", "v") == StoreStatus::kStored);
  cache().FlushAll();
  REQUIRE(Set("b", "v") == StoreStatus::kStored);
  Pass(3);
  REQUIRE(Set("c", "v") == StoreStatus::kStored);
  CHECK(Look("a") == Presence::kFlushed);
  CHECK(Look("b") == Presence::kHit);
  CHECK(Look("c") == Presence::kHit);
  cache().FlushAll();
  REQUIRE(Set("d", "v") == StoreStatus::kStored);
  CHECK(Look("b") == Presence::kFlushed);
  CHECK(Look("c") == Presence::kFlushed);
  CHECK(Look("d") == Presence::kHit);
}

TEST_CASE_METHOD(RemovalRecordsFixture, "a client's cas stays right over seconds",
                 "[slab][cache][cas]") {
  REQUIRE(Set("k", "1") == StoreStatus::kStored);
  const std::uint64_t cas = See("k")->cas;
  Pass(2);
  CHECK(Cas("k", "2", cas) == StoreStatus::kStored);
  CHECK(See("k")->cas > cas);
  CHECK(Cas("k", "3", cas) == StoreStatus::kExists);
}

TEST_CASE("what is remembered of removals keeps to its share of the memory limit",
          "[slab][cache][removal_records]") {
  RemovalRecordsFixture cache({.memory_bytes = 64 * kMiB});
  CHECK(cache.cache().engine().removal_records.bytes() <= 64 * kMiB / 100);
  CHECK(cache.cache().engine().removal_records.bytes() > 63 * kMiB / 100);
  REQUIRE(cache.cache().SetMemoryLimit(8 * kMiB));
  CHECK(cache.cache().engine().removal_records.bytes() <= 8 * kMiB / 100);
  REQUIRE(cache.cache().SetMemoryLimit(256 * kMiB));
  CHECK(cache.cache().engine().removal_records.bytes() <= 256 * kMiB / 100);
  CHECK(cache.cache().engine().removal_records.bytes() > 255 * kMiB / 100);
}

}  // namespace
}  // namespace larder::slab
