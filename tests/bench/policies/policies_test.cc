// What each policy must do: by hand on a few keys, and at random.
#include <catch2/catch.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tests/bench/policies/arc.h"
#include "tests/bench/policies/belady.h"
#include "tests/bench/policies/comparison.h"
#include "tests/bench/policies/frequency_sketch.h"
#include "tests/bench/policies/larder_cache.h"
#include "tests/bench/policies/lirs.h"
#include "tests/bench/policies/lru.h"
#include "tests/bench/policies/s3_fifo.h"
#include "tests/bench/policies/sieve.h"
#include "tests/bench/policies/w_tiny_lfu.h"
#include "tests/bench/random.h"
#include "tests/bench/zipf.h"

namespace larder::bench {
namespace {

// Requests for keys of one letter; the answer has an H or an m for each.
std::string Answers(Policy& policy, std::string_view keys) {
  std::string answers;
  for (const char key : keys) {
    answers += policy.Access(static_cast<Key>(key - 'A'), 1) ? 'H' : 'm';
  }
  return answers;
}

std::vector<Key> ZipfAndScans(std::uint64_t seed) {
  Random random(seed);
  const KeyChooser zipf(400, 0.9);
  std::vector<Key> keys;
  Key next = 1000;
  for (int i = 0; i < 20'000; ++i) {
    keys.push_back(random.Below(4) == 0 ? next++ : zipf.Draw(random));
  }
  return keys;
}

int HitsOf(Policy& policy, const std::vector<Key>& keys) {
  int hits = 0;
  for (const Key key : keys) hits += policy.Access(key, 1) ? 1 : 0;
  return hits;
}

TEST_CASE("LRU evicts what was used longest ago", "[bench][policies]") {
  Lru lru(2);
  CHECK(Answers(lru, "ABACAB") == "mmHmHm");
}

TEST_CASE("LRU of more room has every hit of one with less", "[bench][policies]") {
  const std::vector<Key> keys = ZipfAndScans(1);
  Lru small(50);
  Lru large(80);
  for (const Key key : keys) {
    const bool is_hit = small.Access(key, 1);
    CHECK((large.Access(key, 1) || !is_hit));
  }
}

TEST_CASE("SIEVE's hand passes over what was hit, and goes on from there", "[bench][policies]") {
  Sieve sieve(3);
  // A is passed over, B goes. The hand is at C, so C goes next, although A has no mark any more.
  CHECK(Answers(sieve, "ABCADAE") == "mmmHmHm");
  CHECK(Answers(sieve, "ADE") == "HHH");
}

TEST_CASE("S3-FIFO brings to main what was hit twice, and what comes back", "[bench][policies]") {
  S3Fifo policy(10);
  // Small is full at one key. A is hit twice, so it stays while others pass.
  CHECK(Answers(policy, "AAABCDEFGHIJKLMNOPA") == "mHHmmmmmmmmmmmmmmmH");
  // B has left a ghost, so it comes to main, and stays longer than what follows.
  CHECK(Answers(policy, "BQRSTUVWXYZB") == "mmmmmmmmmmmH");
}

TEST_CASE("ARC moves the share to the side whose ghosts come back", "[bench][policies]") {
  Arc arc(3);
  // A and B were used twice. C goes for D, from those that were used once.
  CHECK(Answers(arc, "AABBCD") == "mHmHmm");
  CHECK(arc.once_target() == 0);
  // So C came back too early: its side gets a share of one, and A goes.
  CHECK(Answers(arc, "C") == "m");
  CHECK(arc.once_target() == 1);
  CHECK(Answers(arc, "D") == "H");
  // A had been used twice: that side gets the share back.
  CHECK(Answers(arc, "A") == "m");
  CHECK(arc.once_target() == 0);
}

TEST_CASE("LIRS keeps the keys that are used at short distances", "[bench][policies]") {
  Lirs lirs(3);
  // A and B are low. The others pass through the one place that is left.
  CHECK(Answers(lirs, "ABCDEAFBGAB") == "mmmmmHmHmHH");
  // G is in the cache, but no longer on the stack, and so goes for H. Then it comes back while its
  // ghost is on the stack, and takes the place of the older low key, A.
  CHECK(Answers(lirs, "GHG") == "Hmm");
  CHECK(Answers(lirs, "BAIGBA") == "HHmHHm");
}

TEST_CASE("LIRS keeps most of a loop that does not fit", "[bench][policies]") {
  Lirs lirs(90);
  Lru lru(90);
  int hits = 0;
  for (int round = 0; round < 10; ++round) {
    for (Key key = 0; key < 100; ++key) {
      hits += lirs.Access(key, 1) ? 1 : 0;
      CHECK_FALSE(lru.Access(key, 1));
    }
  }
  CHECK(hits == 9 * 89);
}

TEST_CASE("the sketch never counts too little, and halves with age", "[bench][policies]") {
  FrequencySketch sketch(100);
  for (Key key = 0; key < 10; ++key) {
    for (Key use = 0; use < key; ++use) sketch.Add(key);
  }
  for (Key key = 0; key < 10; ++key) CHECK(sketch.CountOf(key) >= key);
  CHECK(sketch.CountOf(9) == 9);
  for (int use = 0; use < 100; ++use) sketch.Add(9);
  CHECK(sketch.CountOf(9) == 15);
  for (Key key = 100; key < 1100; ++key) sketch.Add(key);
  CHECK(sketch.CountOf(9) <= 8);
}

TEST_CASE("W-TinyLFU admits no scan past keys that were used more often", "[bench][policies]") {
  WTinyLfu policy(100, 100, Window::kFixed);
  for (int round = 0; round < 5; ++round) {
    for (Key key = 0; key < 99; ++key) policy.Access(key, 1);
  }
  for (Key key = 1000; key < 1300; ++key) policy.Access(key, 1);
  int hits = 0;
  for (Key key = 0; key < 99; ++key) hits += policy.Access(key, 1) ? 1 : 0;
  // A key of the scan may share its counters with others.
  CHECK(hits >= 97);
}

TEST_CASE("the window of W-TinyLFU grows where recent use counts", "[bench][policies]") {
  WTinyLfu climbing(100, 100, Window::kClimbing);
  // Each key comes three times, 60 others apart, and never again.
  for (Key key = 0; key < 60'000; ++key) {
    climbing.Access(key, 1);
    if (key >= 30) climbing.Access(key - 30, 1);
    if (key >= 60) climbing.Access(key - 60, 1);
  }
  CHECK(climbing.window_max() > 10);
}

TEST_CASE("Belady evicts what is used furthest in the future", "[bench][policies]") {
  const std::string_view text = "ABCABDABCD";
  std::vector<Key> keys;
  for (const char key : text) keys.push_back(static_cast<Key>(key - 'A'));
  Belady belady(3, keys);
  // D is not kept: C is used before it comes again.
  CHECK(Answers(belady, text) == "mmmHHmHHHm");
}

TEST_CASE("no policy has more hits than Belady, or holds more than it may", "[bench][policies]") {
  const std::uint64_t capacity = GENERATE(std::uint64_t{1}, std::uint64_t{7}, std::uint64_t{100});
  const std::vector<Key> keys = ZipfAndScans(capacity);
  Belady belady(capacity, keys);
  const int most = HitsOf(belady, keys);
  CHECK(belady.used() <= capacity);
  for (const PolicyKind& kind : PolicyKinds()) {
    CAPTURE(kind.name, capacity);
    const auto policy = kind.make(capacity, capacity);
    int hits = 0;
    bool has_room = true;
    for (const Key key : keys) {
      hits += policy->Access(key, 1) ? 1 : 0;
      has_room = has_room && policy->used() <= capacity;
    }
    CHECK(hits > 0);
    CHECK(hits <= most);
    CHECK(has_room);
  }
}

TEST_CASE("policies count sizes, and hit what they hold only", "[bench][policies]") {
  constexpr std::uint64_t kCapacity = 10'000;
  for (const PolicyKind& kind : PolicyKinds()) {
    CAPTURE(kind.name);
    const auto policy = kind.make(kCapacity, 50);
    Random random(5);
    const KeyChooser zipf(300, 0.9);
    std::uint64_t most = 0;
    int first_hits = 0;
    std::unordered_map<Key, bool> seen;
    for (int i = 0; i < 20'000; ++i) {
      const Key key = zipf.Draw(random);
      // One in ten is larger than the cache.
      const std::uint32_t size = key % 10 == 9 ? 10'001 : 1 + key * 7 % 400;
      const bool is_hit = policy->Access(key, size);
      if (is_hit && (!seen[key] || size > kCapacity)) ++first_hits;
      seen[key] = true;
      most = std::max(most, policy->used());
    }
    CHECK(first_hits == 0);
    CHECK(most <= kCapacity);
    CHECK(most > kCapacity * 9 / 10);
  }
}

TEST_CASE("Larder holds what fits, and hits it", "[bench][policies]") {
  const slab::Cache::Options options{.memory_bytes = 1 << 20};
  constexpr std::uint32_t kSize = 1044;
  const std::uint64_t items = CountItemsOf(options, kSize);
  CHECK(items > (1 << 20) * 90 / 100 / kSize);
  CHECK(items <= (1 << 20) / kSize);
  LarderCache larder(options);
  for (Key key = 0; key < items / 2; ++key) CHECK_FALSE(larder.Access(key, kSize));
  for (Key key = 0; key < items / 2; ++key) CHECK(larder.Access(key, kSize));
  CHECK(larder.items() == items / 2);
  CHECK(larder.used() == items / 2 * kSize);
}

TEST_CASE("a comparison gives all the same room", "[bench][policies]") {
  const WorkloadSpec spec{.name = "test", .memory_mib = {1}};
  std::vector<CacheRequest> requests;
  for (const Key key : ZipfAndScans(9)) {
    requests.push_back({.key = key, .item_bytes = LarderCache::kHeadBytes + kValueBytes});
  }
  const ComparisonRow row = Compare(spec, requests, 1);
  REQUIRE(row.optimum.has_value());
  CHECK(row.others.size() == PolicyKinds().size());
  CHECK(row.larder >= *row.optimum);
  for (const double misses : row.others) CHECK(misses >= *row.optimum);
}

}  // namespace
}  // namespace larder::bench
