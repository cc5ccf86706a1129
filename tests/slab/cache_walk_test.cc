// The walks over all chunks: the sweep's steps, and snapshots.

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/slab/cache_fixture.h"

namespace larder::slab {
namespace {

class WalkFixture : public CacheFixture {
 public:
  WalkFixture() : CacheFixture({.item_bytes_max = 4 << 20}) {}

  // One pass.
  SweepTally SweepAll() {
    SweepTally sum{.chunks = 0};
    for (PageWalk walk; !cache().walker().IsAtEnd(walk);) {
      const SweepTally tally = cache().walker().Sweep(walk, lane());
      sum.chunks += tally.chunks;
      sum.checked += tally.checked;
      sum.expiring += tally.expiring;
      sum.reclaimed += tally.reclaimed;
      sum.passed_over += tally.passed_over;
    }
    return sum;
  }
  std::multiset<std::string> Keys(const ClassSet& classes = ClassSet().set()) {
    std::multiset<std::string> keys;
    std::array<ItemSnapshot, kWalkChunksMax> items;
    for (PageWalk walk; !cache().walker().IsAtEnd(walk);) {
      const std::size_t count = cache().walker().Snapshot(walk, classes, lane(), items);
      for (std::size_t i = 0; i < count; ++i) keys.emplace(items[i].key());
    }
    return keys;
  }
  void SetMany(const std::string& prefix, int count, std::uint32_t expires_at_s,
               std::size_t value_bytes = 20) {
    const std::string value(value_bytes, 'v');
    for (int i = 0; i < count; ++i) {
      const std::string key = prefix + std::to_string(i);
      REQUIRE(Store({.key = key, .value = value, .expires_at_s = expires_at_s}) ==
              StoreStatus::kStored);
    }
  }
  void Pass(std::uint32_t seconds) { lane().now_s += seconds; }
  template <class Field>
  std::uint64_t SumOf(Field field) {
    std::uint64_t sum = 0;
    for (const ClassSnapshot& snapshot : cache().census().CleanAndDescribeClasses(lane()))
      sum += snapshot.stats.*field;
    return sum;
  }
};

// --- Sweep -------------------------------------------------------------------------------------

TEST_CASE_METHOD(WalkFixture, "a sweep frees what has expired and nothing else", "[slab][sweep]") {
  SetMany("mortal", 3000, kSoonS);
  SetMany("later", 3000, kSoonS + 100);
  SetMany("immortal", 3000, 0);
  const SweepTally early = SweepAll();
  CHECK(early.checked == 9000);
  CHECK(early.expiring == 6000);
  CHECK(early.reclaimed == 0);
  CHECK(items() == 9000);

  Pass(10);
  const SweepTally tally = SweepAll();
  CHECK(tally.checked == 9000);
  CHECK(tally.expiring == 3000);
  CHECK(tally.reclaimed == 3000);
  CHECK(tally.passed_over == 0);
  CHECK(items() == 6000);
  CHECK(used_chunks() == 6000);
  cache().CheckInvariants();
  CHECK(Look("mortal7") == Presence::kMiss);
  for (int i = 0; i < 3000; ++i) {
    REQUIRE(Look("later" + std::to_string(i)) == Presence::kHit);
    REQUIRE(Look("immortal" + std::to_string(i)) == Presence::kHit);
  }
  CHECK(SumOf(&ClassStats::crawler_reclaimed) == 3000);
  CHECK(SumOf(&ClassStats::crawler_items_checked) == 18000);
  CHECK(SumOf(&ClassStats::expired_unfetched) == 3000);
  CHECK(SumOf(&ClassStats::reclaimed) == 0);
}

TEST_CASE_METHOD(WalkFixture, "a sweep of an empty cache ends", "[slab][sweep]") {
  CHECK(SweepAll().checked == 0);
  SetMany("k", 100, kSoonS);
  for (int i = 0; i < 100; ++i) REQUIRE(Delete("k" + std::to_string(i)));
  CHECK(SweepAll().checked == 0);
}

TEST_CASE_METHOD(WalkFixture, "an item that was read counts as expired, but not as unfetched",
                 "[slab][sweep]") {
  SetMany("k", 2, kSoonS);
  REQUIRE(Hit("k0"));
  Pass(10);
  CHECK(SweepAll().reclaimed == 2);
  CHECK(SumOf(&ClassStats::expired_unfetched) == 1);
}

TEST_CASE_METHOD(WalkFixture, "a sweep frees what was flushed, and counts no expiry for it",
                 "[slab][sweep]") {
  SetMany("before", 500, 0);
  cache().FlushAll();
  SetMany("after", 500, 0);
  const SweepTally tally = SweepAll();
  CHECK(tally.reclaimed == 500);
  CHECK(items() == 500);
  CHECK(Look("after3") == Presence::kHit);
  CHECK(SumOf(&ClassStats::expired_unfetched) == 0);
  CHECK(SumOf(&ClassStats::crawler_reclaimed) == 500);
  cache().CheckInvariants();
}

TEST_CASE_METHOD(WalkFixture, "an item that is pinned is swept when it no longer is",
                 "[slab][sweep]") {
  SetMany("k", 3, kSoonS);
  Pinned pinned = Pin("k1");
  Pass(10);
  SweepTally tally = SweepAll();
  CHECK(tally.reclaimed == 2);
  CHECK(tally.passed_over == 1);
  CHECK(ReadAll(pinned.value) == std::string(20, 'v'));
  CHECK(items() == 1);
  pinned.handle = ItemHandle();
  tally = SweepAll();
  CHECK(tally.reclaimed == 1);
  CHECK(tally.passed_over == 0);
  CHECK(used_chunks() == 0);
  cache().CheckInvariants();
}

TEST_CASE_METHOD(WalkFixture, "a large item is swept with all its pieces", "[slab][sweep]") {
  SetMany("large", 5, kSoonS, 1'500'000);
  SetMany("stays", 2, 0, 1'500'000);
  const std::uint64_t used = used_chunks();
  Pass(10);
  CHECK(SweepAll().reclaimed == 5);
  CHECK(used_chunks() == used / 7 * 2);
  CHECK(items() == 2);
  cache().CheckInvariants();
  CHECK(Get("stays1") == std::string(1'500'000, 'v'));
}

TEST_CASE_METHOD(WalkFixture, "what is being stored is nothing to sweep", "[slab][sweep]") {
  ItemSpec spec = Spec("k", 100);
  spec.expiry = Expiry::At(kSoonS);
  auto reserved = cache().Reserve(spec, lane());
  REQUIRE(reserved);
  Pass(20);
  const SweepTally tally = SweepAll();
  CHECK(tally.checked == 0);
  CHECK(tally.passed_over == 0);
  CHECK(used_chunks() == 1);
}

TEST_CASE_METHOD(WalkFixture, "an item whose bucket is busy is passed over, not waited for",
                 "[slab][sweep]") {
  SetMany("k", 1, kSoonS);
  SweepTally tally;
  Visit("k0", [&](Item&) {
    std::thread([&] {
      lane().now_s += 20;
      tally = SweepAll();
    }).join();
  });
  CHECK(tally.passed_over == 1);
  CHECK(tally.reclaimed == 0);
  CHECK(SweepAll().reclaimed == 1);
}

TEST_CASE_METHOD(WalkFixture, "one step looks at a bounded number of chunks", "[slab][sweep]") {
  SetMany("k", 1000, kSoonS);
  PageWalk walk;
  const SweepTally tally = cache().walker().Sweep(walk, lane());
  CHECK(tally.chunks == kWalkChunksMax);
  CHECK(tally.checked == kWalkChunksMax);
  CHECK(walk.chunk == kWalkChunksMax);
  CHECK(walk.page == 0);
}

TEST_CASE_METHOD(WalkFixture, "pages that a sweep empties are for any class", "[slab][sweep]") {
  SetMany("k", 25'000, kSoonS);
  const auto pages = cache().arena().pages_in_use();
  REQUIRE(pages > 5);
  Pass(10);
  SweepAll();
  CHECK(items() == 0);
  CHECK(cache().arena().pages_in_use() <= 2);  // One of each class that had some.
  cache().CheckInvariants();
}

// --- Snapshot ----------------------------------------------------------------------------------

TEST_CASE_METHOD(WalkFixture, "snapshots show every live item once", "[slab][snapshot]") {
  SetMany("a", 5000, 0);
  SetMany("b", 2000, kSoonS + 50, 3000);
  SetMany("c", 3, 0, 1'500'000);
  SetMany("expired", 100, kSoonS);
  Pass(10);
  std::multiset<std::string> expected;
  for (int i = 0; i < 5000; ++i) expected.insert("a" + std::to_string(i));
  for (int i = 0; i < 2000; ++i) expected.insert("b" + std::to_string(i));
  for (int i = 0; i < 3; ++i) expected.insert("c" + std::to_string(i));
  CHECK((Keys() == expected));
  CHECK(items() == 7103);  // Nothing was removed.
}

TEST_CASE_METHOD(WalkFixture, "snapshots of some classes show no others", "[slab][snapshot]") {
  SetMany("a", 300, 0);
  SetMany("b", 300, 0, 3000);
  const auto keys = Keys(ClassSet().set(See("b1")->class_id));
  CHECK(keys.size() == 300);
  CHECK(std::ranges::all_of(keys, [](const std::string& key) { return key.starts_with("b"); }));
  CHECK(Keys(ClassSet()).empty());
}

TEST_CASE_METHOD(WalkFixture, "a snapshot tells what the item is", "[slab][snapshot]") {
  REQUIRE(Store({.key = "k", .value = "abc", .flags = 7, .expires_at_s = kSoonS}) ==
          StoreStatus::kStored);
  REQUIRE(Hit("k"));
  Pass(4);
  std::array<ItemSnapshot, kWalkChunksMax> found;
  PageWalk walk;
  REQUIRE(cache().walker().Snapshot(walk, ClassSet().set(), lane(), found) == 1);
  const ItemSnapshot& item = found[0];
  const SeenItem seen = *See("k");
  CHECK(item.key() == "k");
  CHECK(item.cas == seen.cas);
  CHECK(item.class_id == seen.class_id);
  CHECK(item.client_flags == 7);
  CHECK(item.expires_at_s == kSoonS);
  CHECK(item.idle_s == 4);
  CHECK(item.item_bytes == sizeof(Item) + 1 + 4 + 4 + 3);
  CHECK(item.was_fetched);
  CHECK_FALSE(item.has_binary_key);
}

TEST_CASE_METHOD(WalkFixture, "a snapshot waits for an item whose bucket is busy",
                 "[slab][snapshot]") {
  SetMany("k", 1, 0);
  std::multiset<std::string> keys;
  std::thread thread;
  Visit("k0", [&](Item&) {
    thread = std::thread([&] { keys = Keys(); });
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
  });
  thread.join();
  CHECK(keys == std::multiset<std::string>{"k0"});
}

}  // namespace
}  // namespace larder::slab
