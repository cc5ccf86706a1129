#include <catch2/catch.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "slab/cache.h"
#include "tests/mebibyte.h"
#include "tests/slab/cache_fixture.h"
#include "tests/slab/counted_read.h"

namespace larder::slab {
namespace {

// A client that reads as the server does: it notes and counts what it finds.
class ReadingFixture : public CacheFixture {
 public:
  using CacheFixture::CacheFixture;

  static bool Read(Cache& cache, const std::string& name, Lane& lane) {
    const HashedKey key{.bytes = name, .hash = cache.Hash(name)};
    const Presence presence = CountedRead(cache, key, lane);
    if (presence != Presence::kHit) cache.NoteAbsent(key.hash, lane);
    return presence == Presence::kHit;
  }
  bool Read(const std::string& name) { return Read(cache(), name, lane()); }
  MissRatioEstimate Estimate() {
    cache().BalancePages(lane());
    return cache().EstimateMissRatios();
  }
};

TEST_CASE_METHOD(ReadingFixture, "hits, misses and stores of all kinds reach the estimate",
                 "[slab][mrc]") {
  CHECK_FALSE(Read("a"));
  Set("a", "value");
  CHECK(Read("a"));
  CHECK(Add("b", "value") == StoreStatus::kStored);
  CHECK(ReserveAndPublish({.key = "c", .value = "value"}) == StoreStatus::kStored);
  CHECK(Set("d", Noise(400'000, 1)) == StoreStatus::kStored);
  const MissRatioEstimate estimate = Estimate();
  CHECK(estimate.is_on);
  CHECK(estimate.sample_rate == 1);
  CHECK(estimate.sampled_keys == 4);
  CHECK(estimate.references == 2);
  CHECK(estimate.sampled_references == 2);
  for (const auto& point : estimate.points) {
    CHECK(point.items == 4);
    CHECK(point.miss_ratio == Approx(0.5));
  }
  CHECK(estimate.points[kPresentSize].limit_bytes == cache().memory_limit_bytes());
}

TEST_CASE_METHOD(ReadingFixture, "what is deleted, flushed or expired leaves the estimate",
                 "[slab][mrc]") {
  for (const char* key : {"a", "b", "c"}) Set(key, "value");
  Store({.key = "d", .value = "value", .expires_at_s = kSoonS});
  CHECK(Estimate().sampled_keys == 4);
  CHECK(Delete("a"));
  CHECK(DeleteIfUnchanged("b", See("b")->cas).status == DeleteStatus::kDeleted);
  CHECK(Set("c", Noise(2 * kMiB, 1)) == StoreStatus::kTooLarge);
  CHECK(Estimate().sampled_keys == 1);
  lane().now_s = kSoonS;
  CHECK_FALSE(Read("d"));
  CHECK(Estimate().sampled_keys == 0);
  Set("e", "value");
  CHECK(Estimate().sampled_keys == 1);
  cache().FlushAll();
  CHECK(Estimate().sampled_keys == 0);
}

TEST_CASE("a cache that does not estimate samples nothing", "[slab][mrc]") {
  ReadingFixture fixture({.estimate_miss_ratios = false});
  fixture.Set("a", "value");
  CHECK(fixture.Read("a"));
  CHECK_FALSE(fixture.Read("b"));
  CHECK_FALSE(fixture.Estimate().is_on);
}

TEST_CASE_METHOD(ReadingFixture, "another memory limit is another curve", "[slab][mrc]") {
  Set("a", "value");
  CHECK(Read("a"));
  CHECK(Estimate().counted_references == 1);
  CHECK(cache().SetMemoryLimit(32 * kMiB));
  const MissRatioEstimate estimate = Estimate();
  CHECK(estimate.counted_references == 0);
  CHECK(estimate.points[kPresentSize].limit_bytes == 32 * kMiB);
  CHECK(estimate.points[0].limit_bytes == 8 * kMiB);
  CHECK(estimate.sampled_keys == 1);
}

TEST_CASE_METHOD(ReadingFixture, "more references than can be simulated lower the rate",
                 "[slab][mrc]") {
  for (int i = 0; i < 5000; ++i) Set("k" + std::to_string(i), "value");
  const MissRatioEstimate before = Estimate();
  // The ring was full.
  CHECK(before.dropped_rounds == 1);
  CHECK(before.sample_rate < 0.6);
  // A round may have a second's references if those before had none; not round after round.
  double rate = before.sample_rate;
  for (int round = 0; round < 200; ++round) {
    for (int i = 0; i < 20'000; ++i) (void)Read("k" + std::to_string(i % 5000));
    const double next = Estimate().sample_rate;
    REQUIRE(next <= rate);
    rate = next;
  }
  CHECK(rate < 0.1);
  // No more than that is simulated.
  const std::uint64_t sampled = Estimate().sampled_references;
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 20'000; ++i) (void)Read("k" + std::to_string(i % 5000));
    (void)Estimate();
  }
  CHECK(Estimate().sampled_references - sampled < 2 * MissRatios::kReferencesPerSecondMax);
}

TEST_CASE("a key that is read all the time takes no place from others", "[slab][mrc]") {
  ReadingFixture fixture;
  fixture.Set("hot", "value");
  for (int i = 0; i < 50'000; ++i) CHECK(fixture.Read("hot"));
  const MissRatioEstimate estimate = fixture.Estimate();
  CHECK(estimate.dropped_rounds == 0);
  CHECK(estimate.references == 50'000);
  CHECK(estimate.sampled_references == RepeatFilter::kPassedMax - 1);  // One was the store.
  CHECK(estimate.points[kPresentSize].miss_ratio == 0);
}

TEST_CASE("threads may read, store and delete while others estimate", "[slab][mrc]") {
  ReadingFixture fixture({.memory_bytes = 4 * kMiB});
  Cache& cache = fixture.cache();
  constexpr int kThreads = 3;
  std::vector<std::thread> threads;
  std::atomic<int> done = 0;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&cache, &done, thread, &lane = fixture.NewLane()] {
      const std::string value(500, 'v');
      for (int i = 0; i < 20'000; ++i) {
        const std::string name = "k" + std::to_string((i * (thread + 1)) % 6000);
        const HashedKey key{.bytes = name, .hash = cache.Hash(name)};
        if (!ReadingFixture::Read(cache, name, lane)) {
          (void)cache.Store(StoreMode::kSet, {.key = key, .value_bytes = 500}, value, 0, lane);
        }
        if (i % 100 == 0) (void)cache.Delete(key, lane);
      }
      done.fetch_add(1);
    });
  }
  while (done.load() != kThreads) (void)fixture.Estimate();
  for (std::thread& thread : threads) thread.join();
  const MissRatioEstimate estimate = fixture.Estimate();
  CHECK(estimate.references == kThreads * 20'000);
  CHECK(estimate.sampled_references > 0);
  CHECK(estimate.sampled_keys <= SampledKeys::kKeysMax);
  for (std::size_t size = 1; size < kSimulatedSizes; ++size) {
    CHECK(estimate.points[size].miss_ratio >= 0);
    CHECK(estimate.points[size].miss_ratio <= 1);
  }
  cache.CheckInvariants();
}

}  // namespace
}  // namespace larder::slab
