// Small memories: which class an item gets while its own has no page.
#include "slab/engine/class_opening.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "slab/engine/admission.h"
#include "tests/mebibyte.h"
#include "tests/race_steps.h"
#include "tests/slab/cache_fixture.h"
#include "tests/slab/restart_fixture.h"
#include "tests/slab/zipf.h"

namespace larder::slab {
namespace {

// The sizes of two values whose items are of different classes, the larger of which has chunks less
// than twice as large.
constexpr std::size_t kLarge = 1000;
constexpr std::size_t kSmall = 850;
// An item of this size would waste more than half of a chunk of the other classes.
constexpr std::size_t kTiny = 400;

// The most bytes of a memory to which the rule applies.
constexpr std::uint64_t kSmallMemoryBytes = ClassOpening::kSmallPagesMax * kPageBytes;

ClassId ClassOfStored(CacheFixture& cache, const std::string& key, std::string_view value) {
  const StoreOutcome outcome = cache.StoreWithClass({.key = key, .value = value});
  REQUIRE(outcome.status == StoreStatus::kStored);
  return outcome.class_id;
}

ClassId OwnClass(std::size_t value_bytes) {
  CacheFixture cache;
  return ClassOfStored(cache, "key", Noise(value_bytes, 1));
}

// Stores small items under new keys until one gets a chunk of their own class. Returns how many
// have got one of the larger class before.
int CountUntilOpen(CacheFixture& cache, ClassId small, ClassId large) {
  const std::string value = Noise(kSmall, 1);
  for (int count = 0; count < 10'000; ++count) {
    const ClassId used = ClassOfStored(cache, "small" + std::to_string(count), value);
    if (used == small) return count;
    REQUIRE(used == large);
  }
  return -1;
}

// Values from 100 B to 400 kB, of which as many are between 100 B and 1 kB as are between 10 and
// 100 kB. A client that asks for them stores what it misses.
class MixedValues {
 public:
  MixedValues(std::size_t keys, std::uint64_t memory_bytes)
      : popularity_(keys, 1.0, 2), cache_({.memory_bytes = memory_bytes}) {
    std::mt19937_64 random(1);
    std::uniform_real_distribution<double> log_bytes(std::log(100), std::log(400'000));
    for (std::size_t i = 0; i < keys; ++i) {
      bytes_.push_back(static_cast<std::size_t>(std::exp(log_bytes(random))));
    }
    noise_ = Noise(400'000, 1);
  }

  // Makes so many requests; the background thread goes on. Returns the hits.
  // `note` is called with the spec and the outcome of each store.
  template <class Fn>
  int Run(int requests, Fn&& note) {
    int hits = 0;
    for (int i = 0; i < requests; ++i) {
      if (i % 50 == 0) cache_.cache().BalancePages(cache_.lane());
      const std::size_t number = popularity_.Draw();
      const std::string key = "k" + std::to_string(number);
      if (cache_.Hit(key)) {
        ++hits;
        continue;
      }
      const ItemSpec spec = cache_.Spec(key, bytes_[number]);
      const std::string_view value = std::string_view(noise_).substr(0, bytes_[number]);
      note(spec, cache_.StoreWithClass({.key = key, .value = value}));
    }
    return hits;
  }

  CacheFixture& cache() { return cache_; }

 private:
  Zipf popularity_;
  std::vector<std::size_t> bytes_;
  std::string noise_;
  CacheFixture cache_;
};

TEST_CASE("values of all sizes in a small memory do not take each other's last pages",
          "[slab][cache][pages][opening]") {
  constexpr int kRequests = 10'000;
  MixedValues mixed(500, 8 * kMiB);
  int failures = 0;
  const auto note = [&](const ItemSpec&, const StoreOutcome& outcome) {
    failures += outcome.status == StoreStatus::kStored ? 0 : 1;
  };
  mixed.Run(kRequests, note);
  const int hits = mixed.Run(kRequests, note);
  CAPTURE(hits);
  CHECK(hits >= 0.7 * kRequests);
  CHECK(failures == 0);
  mixed.cache().cache().CheckInvariants();
}

TEST_CASE("in a larger memory every item has a chunk of its own class",
          "[slab][cache][pages][opening]") {
  constexpr int kRequests = 5000;
  MixedValues mixed(500, kSmallMemoryBytes + kPageBytes);
  std::vector<std::size_t> chunk_bytes;
  for (const ClassSnapshot& c :
       mixed.cache().cache().census().CleanAndDescribeClasses(mixed.cache().lane())) {
    chunk_bytes.push_back(c.chunk_bytes);
  }
  int stores = 0;
  int others = 0;
  mixed.Run(kRequests, [&](const ItemSpec& spec, const StoreOutcome& outcome) {
    const auto fits = std::ranges::lower_bound(chunk_bytes, ItemBytes(spec));
    const auto own =
        std::min<std::ptrdiff_t>(fits - chunk_bytes.begin() + 1, std::ssize(chunk_bytes));
    ++stores;
    others += outcome.class_id == own ? 0 : 1;
  });
  CHECK(stores > 1000);
  CHECK(others == 0);
}

TEST_CASE("in a small memory a class opens when it would fill a page",
          "[slab][cache][pages][opening]") {
  const ClassId small = OwnClass(kSmall);
  const ClassId large = OwnClass(kLarge);
  REQUIRE(small < large);
  CacheFixture cache({.memory_bytes = kSmallMemoryBytes});
  SECTION("with pages left") {}
  SECTION("with none left") { cache.Fill(kLarge); }
  CHECK(ClassOfStored(cache, "large", Noise(kLarge, 1)) == large);
  const int chunks = static_cast<int>(cache.Class(small).chunks_per_page);
  CHECK(CountUntilOpen(cache, small, large) == chunks);
  CHECK(cache.Class(small).pages == 1);
  cache.cache().CheckInvariants();
}

TEST_CASE("a class does not open for items that are evicted before they would fill a page",
          "[slab][cache][pages][opening]") {
  const ClassId small = OwnClass(kSmall);
  CacheFixture cache({.memory_bytes = kMiB});
  cache.Fill(kLarge);
  int opened = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string number = std::to_string(i);
    opened += ClassOfStored(cache, "small" + number, Noise(kSmall, 1)) == small ? 1 : 0;
    for (int j = 0; j < 20; ++j) {
      cache.Set("large" + number + "," + std::to_string(j), Noise(kLarge, 1));
    }
  }
  CHECK(opened == 0);
}

TEST_CASE("a class opens at once where no chunk of at most twice its size can be had",
          "[slab][cache][pages][opening]") {
  CacheFixture cache({.memory_bytes = 4 * kMiB});
  SECTION("larger chunks are too large") {
    CHECK(ClassOfStored(cache, "large", Noise(kLarge, 1)) == OwnClass(kLarge));
    CHECK(ClassOfStored(cache, "tiny", Noise(kTiny, 1)) == OwnClass(kTiny));
  }
  SECTION("only smaller chunks are there") {
    CHECK(ClassOfStored(cache, "small", Noise(kSmall, 1)) == OwnClass(kSmall));
    CHECK(ClassOfStored(cache, "large", Noise(kLarge, 1)) == OwnClass(kLarge));
  }
}

TEST_CASE("classes open at once when the limit is raised, and without eviction",
          "[slab][cache][pages][opening]") {
  const ClassId small = OwnClass(kSmall);
  bool evicts = true;
  std::uint64_t raised_to = 0;
  SECTION("raised limit") { raised_to = 16 * kMiB; }
  SECTION("no eviction") { evicts = false; }
  CacheFixture cache({.memory_bytes = 4 * kMiB, .evict = evicts});
  cache.Set("large", Noise(kLarge, 1));
  if (raised_to != 0) {
    CHECK(ClassOfStored(cache, "before", Noise(kSmall, 1)) == OwnClass(kLarge));
    REQUIRE(cache.cache().SetMemoryLimit(raised_to));
  }
  CHECK(ClassOfStored(cache, "small", Noise(kSmall, 1)) == small);
  cache.cache().CheckInvariants();
}

TEST_CASE("an item in a chunk of a larger class can be changed in every way",
          "[slab][cache][pages][opening]") {
  CacheFixture cache({.memory_bytes = 4 * kMiB});
  cache.Set("large", Noise(kLarge, 1));
  const std::string value = Noise(kSmall, 1);
  const std::string other = Noise(kSmall, 2);
  const ClassId large = OwnClass(kLarge);
  REQUIRE(ClassOfStored(cache, "key", value) == large);

  CHECK(ClassOfStored(cache, "key", other) == large);
  CHECK(cache.Get("key") == other);
  CHECK(cache.Add("key", value) == StoreStatus::kNotStored);
  CHECK(cache.Replace("key", value) == StoreStatus::kStored);
  CHECK(cache.Cas("key", other, cache.See("key")->cas + 1) == StoreStatus::kExists);
  CHECK(cache.Cas("key", other, cache.See("key")->cas) == StoreStatus::kStored);
  CHECK(cache.Append("key", "!") == StoreStatus::kStored);
  CHECK(cache.Prepend("key", "?") == StoreStatus::kStored);
  CHECK(cache.Get("key") == "?" + other + "!");
  CHECK(cache.Touch("key", kSoonS) == Presence::kHit);
  CHECK(cache.See("key")->expires_at_s == kSoonS);
  CHECK(cache.ReserveAndPublish({.key = "key", .value = value}) == StoreStatus::kStored);
  CHECK(cache.Get("key") == value);
  CHECK(cache.See("key")->class_id == large);
  CHECK(cache.Replace("absent", value) == StoreStatus::kNotStored);
  CHECK(cache.items() == 2);
  cache.cache().CheckInvariants();
  CHECK(cache.Delete("key"));
  CHECK(cache.items() == 1);
  cache.cache().CheckInvariants();
}

TEST_CASE("a class that finds no page when it would open goes on with larger chunks",
          "[slab][cache][pages][opening]") {
  const ClassId small = OwnClass(kSmall);
  const ClassId large = OwnClass(kLarge);
  CacheFixture cache({.memory_bytes = 2 * kPageBytes});
  const int count = cache.Fill(kLarge);
  // Each page has items that a client is reading, so none can be emptied.
  std::vector<CacheFixture::Pinned> pins;
  for (int i = 0; i < count; i += 10) pins.push_back(cache.Pin("fill" + std::to_string(i)));
  const int chunks = static_cast<int>(cache.Class(small).chunks_per_page);
  for (int i = 0; i < chunks + 20; ++i) {
    REQUIRE(ClassOfStored(cache, "small" + std::to_string(i), Noise(kSmall, 1)) == large);
  }
  CHECK(cache.Class(small).stats.out_of_memory == 0);
  pins.clear();
  cache.cache().CheckInvariants();
}

TEST_CASE("an append with its bucket locked uses a chunk of a larger class too",
          "[slab][cache][race][opening]") {
  CacheFixture cache({.memory_bytes = 4 * kMiB});
  cache.Set("large", Noise(kLarge, 1));
  cache.Set("key", "0");
  std::uint64_t times = 0;
  {
    const RaceSteps steps(RacePoint::kJoin, [&] { cache.Set("key", Noise(kSmall, ++times)); });
    CHECK(cache.Append("key", "+") == StoreStatus::kStored);
  }
  CHECK(times > 1);
  CHECK((cache.Get("key") == Noise(kSmall, times) + "+"));
  CHECK(cache.See("key")->class_id == OwnClass(kLarge));
  cache.cache().CheckInvariants();
}

TEST_CASE_METHOD(RestartTest, "items in chunks of larger classes are there after a restart",
                 "[slab][cache][snapshot][opening]") {
  const ClassId large = OwnClass(kLarge);
  cache().Set("large", Noise(kLarge, 1));
  for (int i = 0; i < 20; ++i) {
    CHECK(ClassOfStored(cache(), std::to_string(i), Noise(kSmall, 1)) == large);
  }
  Restart();
  CHECK(Complaint() == "");
  CHECK(cache().items() == 21);
  CHECK(cache().See("7")->class_id == large);
  CHECK(cache().Get("19") == Noise(kSmall, 1));
  CHECK(ClassOfStored(cache(), "new", Noise(kSmall, 1)) == large);
  cache().cache().CheckInvariants();
}

}  // namespace
}  // namespace larder::slab
