// What a cache counts by prefix. Cache::CheckInvariants compares it with a walk over all items.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/mebibyte.h"
#include "tests/slab/cache_fixture.h"
#include "tests/slab/prefix_use.h"
#include "tests/slab/restart_fixture.h"
#include "tests/slab/run_together.h"
#include "tests/slab/turns.h"

namespace larder::slab {
namespace {

constexpr std::array kPrefixes = {"user", "session", "", "page", "a_prefix_of_15_b", "cart"};

std::string KeyOf(std::size_t prefix, std::uint64_t number) {
  return std::string(kPrefixes[prefix % kPrefixes.size()]) + ":" + std::to_string(number);
}

// A cache that counts by prefix.
struct CountedCache : CacheFixture {
  CountedCache() : CacheFixture({.count_prefixes = true}) {}
};

TEST_CASE_METHOD(CountedCache, "a prefix has its items, their bytes and their chunks",
                 "[slab][prefix]") {
  REQUIRE(Set("user:1", "abc") == StoreStatus::kStored);
  REQUIRE(Set("user:2", Noise(1000, 1)) == StoreStatus::kStored);
  REQUIRE(Set("user", "abc") == StoreStatus::kStored);
  const std::uint64_t bytes = 2 * (sizeof(Item) + 6) + 3 + 1000;
  const std::uint64_t memory = 40 + std::uint64_t{Class(See("user:2")->class_id).chunk_bytes};
  CHECK(UseOf(cache(), "user:") == PrefixUse{.items = 2, .bytes = bytes, .memory = memory});
  CHECK(UseOf(cache(), "user").items == 1);
  // Overwritten in its chunk, and by a longer value.
  REQUIRE(Set("user:1", "abcdef") == StoreStatus::kStored);
  CHECK(UseOf(cache(), "user:").bytes == bytes + 3);
  REQUIRE(Set("user:1", Noise(1000, 2)) == StoreStatus::kStored);
  CHECK(UseOf(cache(), "user:").bytes == bytes + 997);
  CHECK(UseOf(cache(), "user:").memory == 2 * (memory - 40));
  CHECK(Delete("user:1"));
  CHECK(Delete("user:2"));
  CHECK(UseOf(cache(), "user:") == PrefixUse{});
}

TEST_CASE_METHOD(CountedCache, "a value in several chunks counts with all of them",
                 "[slab][prefix]") {
  for (const std::size_t bytes : std::array<std::size_t, 4>{200'000, 262'144, 393'000, 1'000'000}) {
    CAPTURE(bytes);
    REQUIRE(Set("large:1", Noise(bytes, 1)) == StoreStatus::kStored);
    CHECK(UseOf(cache(), "large:").memory >= bytes);
    CHECK(UseOf(cache(), "large:").memory < bytes + kPageBytes / 2);
    cache().CheckInvariants();
  }
}

TEST_CASE("evictions are counted by prefix", "[slab][prefix]") {
  CacheFixture cache({.memory_bytes = kMiB, .count_prefixes = true});
  for (std::uint64_t i = 0; i < 4000; ++i)
    (void)cache.Set(KeyOf(i % 3 == 0 ? 0 : 1, i), Noise(500, 1));
  const PrefixUse user = UseOf(cache.cache(), "user:");
  const PrefixUse session = UseOf(cache.cache(), "session:");
  CHECK(user.evictions + user.items == 1334);
  CHECK(session.evictions + session.items == 2666);
  CHECK(user.evictions + session.evictions == cache.evicted());
  cache.cache().CheckInvariants();
}

TEST_CASE("without statistics by prefix nothing is counted", "[slab][prefix]") {
  CacheFixture cache;
  REQUIRE(cache.Set("user:1", "abc") == StoreStatus::kStored);
  REQUIRE(cache.Set("user:1", "abcdef") == StoreStatus::kStored);
  CHECK(cache.Delete("user:1"));
  CHECK(cache.lane().prefixes == nullptr);
  CHECK(cache.cache().prefixes().row_count() == 1);
  cache.cache().CheckInvariants();
}

// A cache with room for all, and what it has to have counted.
class ModelledPrefixes {
 public:
  ModelledPrefixes() {
    for (int i = 0; i < 3; ++i) lanes_.push_back(&cache_.NewLane());
  }

  void Step() {
    cache_.Use(*lanes_[random_() % lanes_.size()]);
    const std::size_t prefix = random_() % kPrefixes.size();
    const std::string key = KeyOf(prefix, random_() % 60);
    switch (random_() % 16) {
      case 0:
      case 1:
        if (cache_.Delete(key)) items_.erase(key);
        return;
      case 2:
        if (cache_.Append(key, "more") == StoreStatus::kStored) items_[key].value_bytes += 4;
        return;
      case 3:
        if (cache_.Touch(key, now_s_ + 40) == Presence::kHit)
          items_[key].expires_at_s = now_s_ + 40;
        return;
      case 4:
        if (random_() % 50 == 0) Flush();
        return;
      case 5:
        if (random_() % 20 == 0) Drop(std::string(kPrefixes[prefix]) + ":");
        return;
      default:
        return Set(key);
    }
  }
  // Lets items with the near expiry die.
  void PassTime() {
    now_s_ += 20;
    for (Lane* const lane : lanes_) lane->now_s = now_s_;
    std::erase_if(items_, [&](const auto& item) { return item.second.expires_at_s <= now_s_; });
  }
  // Expects what the model has, when all that is dead is removed.
  void Check() {
    LookAtAll();
    std::map<std::string, PrefixUse> expected;
    for (const auto& [key, item] : items_) {
      PrefixUse& use = expected[key.substr(0, key.find(':') + 1)];
      ++use.items;
      use.bytes +=
          Item::OverheadBytes(key.size(), {.can_expire = item.can_expire()}) + item.value_bytes;
    }
    for (const char* const prefix : kPrefixes) {
      const std::string name = std::string(prefix) + ":";
      CAPTURE(name);
      const PrefixUse use = UseOf(cache_.cache(), name);
      // The prefix of 16 bytes has no row.
      if (cache_.cache().prefixes().Find(name) == kOthers && name.size() <= 16) continue;
      CHECK(use.items == expected[name].items);
      CHECK(use.bytes == expected[name].bytes);
    }
    cache_.cache().CheckInvariants();
  }

 private:
  struct ModelItem {
    std::size_t value_bytes = 0;
    // Never, if it cannot expire.
    std::uint32_t expires_at_s = kNever;

    bool can_expire() const { return expires_at_s != kNever; }
  };
  static constexpr std::uint32_t kNever = ~std::uint32_t{0};

  void Set(const std::string& key) {
    // Some are chains of chunks.
    const std::size_t bytes = random_() % 200 == 0 ? 300'000 : random_() % 900;
    const bool expires = random_() % 3 == 0;
    REQUIRE(cache_.Store({.key = key,
                          .value = std::string_view(noise_).substr(0, bytes),
                          .expires_at_s = expires ? now_s_ + 10 : 0}) == StoreStatus::kStored);
    items_[key] = {.value_bytes = bytes, .expires_at_s = expires ? now_s_ + 10 : kNever};
  }
  void Flush() {
    cache_.cache().FlushAll();
    items_.clear();
  }
  void Drop(const std::string& prefix) {
    REQUIRE(cache_.cache().Drop(prefix));
    std::erase_if(items_, [&](const auto& item) { return item.first.starts_with(prefix); });
  }
  // Removes what is dead: a look at a dead item unlinks it.
  void LookAtAll() {
    std::size_t seen = 0;
    for (std::size_t prefix = 0; prefix < kPrefixes.size(); ++prefix) {
      for (std::uint64_t number = 0; number < 60; ++number) {
        seen += cache_.Look(KeyOf(prefix, number)) == Presence::kHit ? 1 : 0;
      }
    }
    REQUIRE(seen == items_.size());
  }

  CacheFixture cache_{{.memory_bytes = 64 * kMiB, .count_prefixes = true}};
  std::vector<Lane*> lanes_;
  std::mt19937_64 random_{20};
  const std::string noise_ = Noise(300'000, 1);
  std::uint32_t now_s_ = CacheFixture::kStartS;
  std::map<std::string, ModelItem> items_;
};

TEST_CASE("items and bytes by prefix are those of a model", "[slab][prefix][property]") {
  ModelledPrefixes model;
  for (int i = 0; i < Turns(20'000); ++i) {
    model.Step();
    if (i % 300 == 299) model.PassTime();
    if (i % 1000 == 999) model.Check();
  }
}

TEST_CASE("counts by prefix stay exact while threads store, evict and delete",
          "[slab][prefix][concurrency]") {
  CacheFixture cache({.memory_bytes = 2 * kMiB, .count_prefixes = true});
  std::vector<std::function<void()>> all;
  const std::string noise = Noise(300'000, 1);
  for (std::size_t worker = 0; worker < kWorkers; ++worker) {
    all.emplace_back([&, worker, lane = &cache.NewLane()] {
      std::mt19937_64 random(worker);
      for (int i = 0; i < Turns(30'000); ++i) {
        const std::string key = KeyOf(random() % kPrefixes.size(), random() % 3000);
        const HashedKey hashed = cache.Key(key);
        if (random() % 5 == 0) {
          (void)cache.cache().Delete(hashed, *lane);
        } else if (random() % 2000 == 0) {
          cache.cache().FlushAll();
        } else if (random() % 2000 == 0) {
          (void)cache.cache().Drop("cart:");
        } else {
          const std::size_t bytes = random() % 500 == 0 ? 300'000 : random() % 2000;
          const ItemSpec spec = cache.Spec(key, bytes);
          (void)cache.cache().Store(StoreMode::kSet, spec, std::string_view(noise).substr(0, bytes),
                                    0, *lane);
        }
        // Is for one thread at a time.
        if (worker == 0 && random() % 300 == 0) cache.cache().BalancePages(*lane);
      }
    });
  }
  RunTogether(all);
  CHECK(UseOf(cache.cache(), "user:").evictions > 0);
  cache.cache().CheckInvariants();
}

TEST_CASE_METHOD(RestartTest, "counts by prefix are there after a restart", "[slab][prefix]") {
  options().count_prefixes = true;
  Restart();
  for (std::uint64_t i = 0; i < 300; ++i) {
    REQUIRE(cache().Set(KeyOf(i, i), Noise(i % 4 * 100, 1)) == StoreStatus::kStored);
  }
  REQUIRE(cache().Set("user:large", Noise(600'000, 1)) == StoreStatus::kStored);
  const PrefixUse user = UseOf(cache().cache(), "user:");
  const PrefixUse cart = UseOf(cache().cache(), "cart:");
  const PrefixUse others = UseOf(cache().cache(), "others");
  CHECK(user.items == 51);
  CHECK(others.items == 50);
  Restart();
  CHECK(UseOf(cache().cache(), "user:") == user);
  CHECK(UseOf(cache().cache(), "cart:") == cart);
  CHECK(UseOf(cache().cache(), "others") == others);
  for (std::uint64_t i = 0; i < 300; ++i) CHECK(cache().Delete(KeyOf(i, i)));
  CHECK(cache().Delete("user:large"));
  CHECK(UseOf(cache().cache(), "user:") == PrefixUse{});
  CHECK(UseOf(cache().cache(), "others") == PrefixUse{});
}

}  // namespace
}  // namespace larder::slab
