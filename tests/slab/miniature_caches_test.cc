#include "slab/mrc/miniature_caches.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <list>
#include <random>
#include <unordered_map>

#include "tests/mebibyte.h"
#include "tests/slab/zipf.h"

namespace larder::slab {
namespace {

constexpr Now kAtNoon = {.now_s = 43'200};

// The hash of a key: all of them are spread evenly.
std::uint64_t SpreadHash(std::uint64_t key) { return (key + 1) * 0x9e37'79b9'7f4a'7c15U; }

// A client that gets a key, and sets it where it misses. Each size has a store of its own where it
// misses, so the order of references is that of a cache of the present size.
class MiniatureClient {
 public:
  explicit MiniatureClient(std::uint64_t limit_bytes) : caches(limit_bytes) {}

  // Returns where it missed; nothing if the key is not in the sample.
  SizeSet Get(std::uint64_t key, std::uint32_t bytes) {
    const std::uint64_t hash = SpreadHash(key);
    if (hash >= caches.threshold()) return 0;
    const SizeSet missed = caches.Apply({ReferenceKind::kMiss, hash}, kAtNoon);
    Set(key, bytes);
    return missed;
  }
  void Set(std::uint64_t key, std::uint32_t bytes, Expiry expiry = {}) {
    Apply({ReferenceKind::kStore, SpreadHash(key), bytes, expiry});
  }
  void Apply(const Reference& reference) {
    if (reference.hash() < caches.threshold()) (void)caches.Apply(reference, kAtNoon);
  }

  MiniatureCaches caches;
};

// The strict order of last use, in a cache for so many items.
class LruModel {
 public:
  explicit LruModel(std::size_t items_max) : items_max_(items_max) {}
  bool Get(std::uint64_t key) {
    const auto found = places_.find(key);
    const bool is_hit = found != places_.end();
    if (is_hit) {
      order_.erase(found->second);
    } else if (order_.size() == items_max_) {
      places_.erase(order_.back());
      order_.pop_back();
    }
    order_.push_front(key);
    places_[key] = order_.begin();
    return is_hit;
  }

 private:
  const std::size_t items_max_;
  std::list<std::uint64_t> order_;
  std::unordered_map<std::uint64_t, std::list<std::uint64_t>::iterator> places_;
};

TEST_CASE("a complete sample with the strict order of last use does what a model does",
          "[slab][mrc]") {
  constexpr std::uint32_t kBytes = 4096;
  MiniatureClient client(kMiB);
  client.caches.set_policy(EvictionPolicy::kLru);
  std::vector<LruModel> models;
  for (std::size_t size = 0; size < kSimulatedSizes; ++size) {
    models.emplace_back(client.caches.limit_bytes(size) / kBytes);
  }
  Zipf zipf(2000, 0.7, 1);
  int misses = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::size_t key = zipf.Draw();
    const SizeSet missed = client.Get(key, kBytes);
    for (std::size_t size = 0; size < kSimulatedSizes; ++size) {
      REQUIRE(models[size].Get(key) == ((missed >> size & 1U) == 0));
    }
    misses += missed >> kPresentSize & 1U;
  }
  CHECK(misses > 2000);
  CHECK(client.caches.threshold() == MiniatureCaches::kThresholdMax);
  client.caches.CheckInvariants();
}

TEST_CASE("the sample never has more keys than it may, and the threshold only falls",
          "[slab][mrc]") {
  MiniatureClient client(64 * kMiB);
  std::mt19937_64 random(1);
  std::uint64_t threshold = client.caches.threshold();
  for (int i = 0; i < 400'000; ++i) {
    (void)client.Get(random() % 200'000, static_cast<std::uint32_t>(100 + random() % 3000));
    REQUIRE(client.caches.key_count() <= SampledKeys::kKeysMax);
    REQUIRE(client.caches.threshold() <= threshold);
    threshold = client.caches.threshold();
    if (i % 500 == 0) client.caches.Maintain(kAtNoon);
    if (i % 50'000 == 0) client.caches.CheckInvariants();
  }
  CHECK(client.caches.rate() < 0.1);
  CHECK(client.caches.key_count() > SampledKeys::kKeysMax * 6 / 10);
  client.caches.CheckInvariants();
  client.caches.Clear();
  CHECK(client.caches.key_count() == 0);
  CHECK(client.caches.threshold() == MiniatureCaches::kThresholdMax);
  client.caches.CheckInvariants();
}

TEST_CASE("a simulation holds no more than its share of the memory", "[slab][mrc]") {
  MiniatureClient client(16 * kMiB);
  for (std::uint64_t key = 0; key < 200'000; ++key) (void)client.Get(key, 1000);
  for (std::size_t size = 0; size < kSimulatedSizes; ++size) {
    const double full = static_cast<double>(client.caches.limit_bytes(size)) / 1000;
    CHECK(static_cast<double>(client.caches.items(size)) <= full);
    CHECK(static_cast<double>(client.caches.items(size)) > 0.97 * full);
  }
}

TEST_CASE("what was deleted or has expired is a miss at every size", "[slab][mrc]") {
  MiniatureClient client(kMiB);
  client.Set(1, 100);
  client.Set(2, 100, Expiry::At(kAtNoon.now_s + 10));
  client.Set(3, 100);
  CHECK(client.caches.key_count() == 3);
  client.Apply({ReferenceKind::kDelete, SpreadHash(1)});
  CHECK(client.caches.key_count() == 2);
  const auto missed = [&](std::uint64_t key, const Now& now) {
    return client.caches.Apply({ReferenceKind::kMiss, SpreadHash(key)}, now);
  };
  CHECK(missed(1, kAtNoon) == 0xff);
  CHECK(missed(2, kAtNoon) == 0);
  CHECK(missed(3, kAtNoon) == 0);
  const Now later = {.now_s = kAtNoon.now_s + 10};
  CHECK(missed(2, later) == 0xff);
  CHECK(client.caches.key_count() == 1);
  // The sweep finds what nobody asks for.
  client.Set(2, 100, Expiry::At(kAtNoon.now_s + 5));
  for (std::size_t i = 0; i < SampledKeys::kKeysMax; ++i) client.caches.Maintain(later);
  CHECK(client.caches.key_count() == 1);
  client.caches.CheckInvariants();
}

TEST_CASE("a key that the sample does not know, and the cache has, is one for larger caches",
          "[slab][mrc]") {
  MiniatureCaches caches(kMiB);
  const Reference read(ReferenceKind::kRead, SpreadHash(1), 100);
  CHECK(caches.Apply(read, kAtNoon) == (1U << kPresentSize) - 1);
  CHECK(caches.Apply(read, kAtNoon) == 0);
  CHECK(caches.key_count() == 1);
}

TEST_CASE("values of another size change their class", "[slab][mrc]") {
  MiniatureClient client(4 * kMiB);
  std::mt19937_64 random(1);
  for (int i = 0; i < 50'000; ++i) {
    client.Set(random() % 1000, static_cast<std::uint32_t>(40U << random() % 12));
    if (i % 1000 == 0) {
      client.caches.CheckInvariants();
      client.caches.Maintain(kAtNoon);
    }
  }
  for (std::size_t size = 0; size < kSimulatedSizes; ++size) {
    CHECK(client.caches.cache(size).count() > 0);
  }
}

TEST_CASE("pages go to the sizes that bring more hits", "[slab][mrc]") {
  // Small items that are read again, after large ones that are not have taken all pages.
  MiniatureClient client(8 * kMiB);
  std::uint64_t next = 1'000'000;
  for (; next < 1'002'000; ++next) (void)client.Get(next, 8000);
  Zipf zipf(4000, 0.6, 1);
  int misses = 0;
  for (int i = 0; i < 200'000; ++i) {
    const SizeSet missed = client.Get(zipf.Draw(), 1000);
    if (i >= 150'000) misses += missed >> kPresentSize & 1U;
    if (i % 10 == 0) (void)client.Get(next++, 8000);
    if (i % 500 == 0) client.caches.Maintain(kAtNoon);
  }
  // All small items fit into half of the memory.
  CHECK(misses < 50'000 / 20);
  client.caches.CheckInvariants();
}

}  // namespace
}  // namespace larder::slab
