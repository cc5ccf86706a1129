// No workload is starved by the policy: items that are written once and read once, much later, and
// that nobody stores again after a miss.
#include <catch2/catch.hpp>
#include <cstdint>
#include <deque>
#include <random>
#include <string>

#include "tests/mebibyte.h"
#include "tests/slab/cache_fixture.h"
#include "tests/slab/zipf.h"

namespace larder::slab {
namespace {

constexpr std::uint64_t kMemoryBytes = 16 * kMiB;
constexpr std::size_t kSessionBytes = 400;
// With the header, a key of 8 and the chunk's slack.
constexpr int kItems = static_cast<int>(kMemoryBytes / 440);

// How much time passes: as much as for a client that sends some thousand requests a second, or
// none.
enum class Pace : std::uint8_t { kModerate, kAtOnce };

// Logins: each is stored once and read once, when so many other items were stored since.
class SessionsTest {
 public:
  explicit SessionsTest(EvictionPolicy policy, Pace pace = Pace::kModerate)
      : cache({.memory_bytes = kMemoryBytes, .eviction = policy}), pace_(pace) {}

  // Time and the background thread go on.
  void Step() {
    if (pace_ == Pace::kAtOnce || ++steps_ % 100 != 0) return;
    cache.cache().BalancePages(cache.lane());
    if (steps_ % 2000 == 0) ++cache.lane().now_s;
  }
  void Set(const std::string& key) {
    REQUIRE(cache.Set(key, value_) == StoreStatus::kStored);
    ++stored_;
    Step();
  }
  // As a client's get, which the server reports if it is a miss.
  bool Get(const std::string& key) {
    Step();
    if (cache.Hit(key)) return true;
    const std::uint64_t hash = cache.Key(key).hash;
    const auto removal = cache.cache().LastRemovalOf(hash, cache.lane());
    if (removal) cache.cache().NoteMiss(hash, *removal, cache.lane());
    return false;
  }

  // A login now, and the read of the one that is due.
  void Login(int stores_later) {
    const std::string key = "s" + std::to_string(logins_++);
    Set(key);
    due_.push_back({.key = key, .at = stored_ + stores_later});
    while (due_.front().at <= stored_) {
      session_hits += Get(due_.front().key) ? 1 : 0;
      ++session_reads;
      due_.pop_front();
    }
  }
  // A get that stores what it does not find.
  void CacheAside(const std::string& key) {
    ++aside_reads;
    if (Get(key)) {
      ++aside_hits;
    } else {
      Set(key);
    }
  }
  // Hits of all reads since Forget().
  double SessionRatio() const { return 1.0 * session_hits / session_reads; }
  double WholeRatio() const {
    return 1.0 * (session_hits + aside_hits) / (session_reads + aside_reads);
  }
  void Forget() { session_hits = session_reads = aside_hits = aside_reads = 0; }

  CacheFixture cache;
  int session_hits = 0;
  int session_reads = 0;
  int aside_hits = 0;
  int aside_reads = 0;

 private:
  struct Due {
    std::string key;
    int at = 0;
  };
  const Pace pace_;
  const std::string value_ = Noise(kSessionBytes, 1);
  std::deque<Due> due_;
  int logins_ = 0;
  int stored_ = 0;
  int steps_ = 0;
};

TEST_CASE("items that are read once, half a memory of stores later, are there",
          "[slab][cache][sessions]") {
  const Pace pace = GENERATE(Pace::kModerate, Pace::kAtOnce);
  SessionsTest sessions(EvictionPolicy::kSegmented, pace);
  // Two thirds of the memory are of no use any more.
  for (int i = 0; i < kItems * 2 / 3; ++i) sessions.Set("old" + std::to_string(i));
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < kItems * 2 / 3; ++i) CHECK(sessions.Get("old" + std::to_string(i)));
  }
  for (int i = 0; i < 3 * kItems; ++i) sessions.Login(kItems / 2);
  sessions.Forget();
  for (int i = 0; i < kItems; ++i) sessions.Login(kItems / 2);
  CAPTURE(pace);
  CHECK(sessions.SessionRatio() >= 0.98);
  sessions.cache.cache().CheckInvariants();
}

TEST_CASE("sessions among other traffic have at least the hits of the strict order",
          "[slab][cache][sessions]") {
  const int percent = GENERATE(30, 60, 90);
  SessionsTest segmented(EvictionPolicy::kSegmented);
  SessionsTest strict(EvictionPolicy::kLru);
  for (SessionsTest* const sessions : {&segmented, &strict}) {
    Zipf popularity(kItems, 0.9, 1);
    const auto request = [&] {
      sessions->Login(kItems * percent / 100);
      for (int i = 0; i < 2; ++i) sessions->CacheAside("z" + std::to_string(popularity.Draw()));
    };
    for (int i = 0; i < 6 * kItems; ++i) request();
    sessions->Forget();
    for (int i = 0; i < 2 * kItems; ++i) request();
  }
  CAPTURE(percent, segmented.session_reads, strict.session_reads);
  CHECK(segmented.SessionRatio() >= strict.SessionRatio());
  // At 90 the strict order has none.
  CHECK(segmented.SessionRatio() >= 0.8);
  CHECK(segmented.WholeRatio() >= strict.WholeRatio());
}

}  // namespace
}  // namespace larder::slab
