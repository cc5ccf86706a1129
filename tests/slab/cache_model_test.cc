// A cache against a map under random operations.

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "tests/mebibyte.h"
#include "tests/slab/cache_fixture.h"
#include "tests/slab/turns.h"

namespace larder::slab {
namespace {

// What may be missing from the cache without a fault.
enum class Losses {
  kNone,
  kEvicted,
};

// Does every operation twice, to a cache and to a map, and compares.
class ModelledCache {
 public:
  ModelledCache(const Cache::Options& options, Losses losses, std::size_t value_bytes_max,
                std::uint64_t seed)
      : cache_(options),
        losses_(losses),
        value_bytes_max_(value_bytes_max),
        random_(seed),
        noise_(Noise(2 * value_bytes_max, seed)) {
    for (int i = 0; i < 3; ++i) lanes_.push_back(&cache_.NewLane());
  }

  void Step() {
    cache_.Use(*lanes_[random_() % lanes_.size()]);
    const std::string key = RandomKey();
    CAPTURE(key);
    const auto choice = random_() % 1000;
    if (choice < 250) {
      Read(key);
    } else if (choice < 550) {
      Write({.mode = StoreMode::kSet, .key = key});
    } else if (choice < 620) {
      Write({.mode = StoreMode::kAdd, .key = key});
    } else if (choice < 670) {
      Write({.mode = StoreMode::kReplace, .key = key});
    } else if (choice < 720) {
      Write({.mode = StoreMode::kCas, .key = key});
    } else if (choice < 800) {
      Join(choice % 2 == 0 ? StoreMode::kAppend : StoreMode::kPrepend, key);
    } else if (choice < 880) {
      Remove(key);
    } else if (choice < 930) {
      Touch(key);
    } else if (choice < 960) {
      RewriteInPlace(key);
    } else if (choice < 980) {
      PinOrUnpin(key);
    } else if (choice < 990) {
      ReserveAndDrop(key);
    } else if (choice < 999) {
      PassTime();
    } else if (random_() % 4 == 0) {
      Flush();
    }
  }

  // REQUIRES: nothing; lets go of all pins.
  void CheckAll() {
    pins_.clear();
    cache_.cache().CheckInvariants();
    std::uint64_t expected_bytes = 0;
    for (auto it = model_.begin(); it != model_.end();) {
      const std::string key = (it++)->first;  // Read may erase it.
      CAPTURE(key);
      Read(key);
      const auto found = model_.find(key);
      if (found == model_.end()) continue;
      expected_bytes +=
          Item::OverheadBytes(key.size(), {.has_flags = found->second.client_flags != 0,
                                           .can_expire = found->second.expires_at_s != 0}) +
          found->second.value.size();
    }
    // All that is left in the cache is in the model, or dead and not noticed yet.
    cache_.cache().CheckInvariants();
    REQUIRE(cache_.items() >= model_.size());
    REQUIRE(cache_.bytes() >= expected_bytes);
  }
  // Empties the cache by deleting every key; then nothing may be in use.
  void DeleteAll() {
    pins_.clear();
    for (int number = 0; number < kKeys; ++number) {
      const std::string key = KeyOf(number);
      Remove(key);
    }
    REQUIRE(cache_.used_chunks() == 0);
    REQUIRE(cache_.items() == 0);
    REQUIRE(cache_.bytes() == 0);
    cache_.cache().CheckInvariants();
  }

  CacheFixture& cache() { return cache_; }
  std::size_t hits() const { return hits_; }
  std::size_t losses() const { return lost_; }

 private:
  static constexpr int kKeys = 700;

  static std::string KeyOf(int number) {
    // Of many lengths, up to the longest.
    return std::to_string(number) +
           std::string(static_cast<std::size_t>(number * number % 240), 'k');
  }
  // The lower the number, the more frequent.
  std::string RandomKey() {
    const double fraction = static_cast<double>(random_() % 10'000) / 10'000;
    return KeyOf(static_cast<int>(kKeys * fraction * fraction));
  }
  // Short ones are as frequent as long ones that are 10 times as long.
  std::string_view RandomValue() {
    const double fraction = static_cast<double>(random_() % 10'000) / 10'000;
    const auto bytes =
        static_cast<std::size_t>(std::pow(static_cast<double>(value_bytes_max_), fraction)) - 1;
    return std::string_view(noise_).substr(random_() % value_bytes_max_, bytes);
  }
  std::uint32_t RandomFlags() {
    return random_() % 2 == 0 ? 0 : static_cast<std::uint32_t>(random_());
  }
  std::uint32_t RandomExpiry() {
    return random_() % 3 != 0 ? 0 : now_s_ + 1 + static_cast<std::uint32_t>(random_() % 20);
  }

  // The model's item if it is alive, and may have been lost by the cache.
  SeenItem* Expected(const std::string& key) {
    const auto found = model_.find(key);
    if (found == model_.end()) return nullptr;
    if (found->second.expires_at_s != 0 && found->second.expires_at_s <= now_s_) {
      model_.erase(found);
      return nullptr;
    }
    return &found->second;
  }
  // Looks whether the cache still has what the model has, and forgets it if that is allowed.
  SeenItem* Agreed(const std::string& key) {
    SeenItem* expected = Expected(key);
    const auto seen = cache_.See(key);
    if (seen) {
      REQUIRE(expected != nullptr);
      REQUIRE((seen->value == expected->value));
      REQUIRE(seen->client_flags == expected->client_flags);
      REQUIRE(seen->expires_at_s == expected->expires_at_s);
      REQUIRE(seen->cas == expected->cas);
      ++hits_;
      return expected;
    }
    if (expected != nullptr) {
      REQUIRE(losses_ == Losses::kEvicted);
      ++lost_;
      model_.erase(key);
    }
    return nullptr;
  }

  void Read(const std::string& key) {
    if (Agreed(key) != nullptr) CHECK(cache_.Hit(key));
  }
  void Write(StoreArgs args) {
    const std::string key(args.key);
    // Half of the time the cache's answer comes first, so that it may also evict what it replaces.
    SeenItem* old = random_() % 2 == 0 ? Agreed(key) : Expected(key);
    args.value = RandomValue();
    args.flags = RandomFlags();
    args.expires_at_s = RandomExpiry();
    if (old != nullptr) args.cas = random_() % 4 == 0 ? old->cas + 1 : old->cas;
    const StoreStatus status =
        random_() % 4 == 0 ? cache_.ReserveAndPublish(args) : cache_.Store(args);
    CAPTURE(args.mode, args.value.size());
    const bool may_be_lost = losses_ == Losses::kEvicted;
    switch (status) {
      case StoreStatus::kStored:
        if (args.mode == StoreMode::kAdd) REQUIRE((old == nullptr || may_be_lost));
        if (args.mode == StoreMode::kReplace) REQUIRE(old != nullptr);
        if (args.mode == StoreMode::kCas) REQUIRE((old != nullptr && args.cas == old->cas));
        model_[key] = {.value = std::string(args.value),
                       .client_flags = args.flags,
                       .expires_at_s = args.expires_at_s};
        Adopt(key);
        break;
      case StoreStatus::kNotStored:
        if (args.mode == StoreMode::kAdd) {
          REQUIRE(old != nullptr);
        } else {
          REQUIRE(args.mode == StoreMode::kReplace);
          REQUIRE((old == nullptr || may_be_lost));
        }
        break;
      case StoreStatus::kExists:
        REQUIRE(args.mode == StoreMode::kCas);
        REQUIRE((old != nullptr && args.cas != old->cas));
        break;
      case StoreStatus::kNotFound:
        REQUIRE(args.mode == StoreMode::kCas);
        REQUIRE((old == nullptr || may_be_lost));
        break;
      case StoreStatus::kTooLarge:
        FAIL("no value is too large");
        break;
      case StoreStatus::kNoMemory:
        REQUIRE(!pins_.empty());  // Else eviction finds room.
        REQUIRE(may_be_lost);
        // A refused set has removed the old item or, in two steps, left it.
        if (args.mode == StoreMode::kSet) Resolve(key);
        break;
      case StoreStatus::kForbidden:
        FAIL("no key is forbidden");
        break;
    }
  }
  void Join(StoreMode mode, const std::string& key) {
    SeenItem* old = Agreed(key);
    const std::string_view added = RandomValue().substr(0, value_bytes_max_ / 10);
    const StoreArgs args{.mode = mode, .key = key, .value = added, .flags = RandomFlags()};
    const StoreStatus status =
        random_() % 4 == 0 ? cache_.ReserveAndPublish(args) : cache_.Store(args);
    CAPTURE(added.size());
    if (status == StoreStatus::kStored) {
      REQUIRE(old != nullptr);
      old->value = mode == StoreMode::kAppend ? old->value + std::string(added)
                                              : std::string(added) + old->value;
      Adopt(key);
    } else {
      const bool fits = old != nullptr && cache_.cache().engine().admission.Fits(cache_.Spec(
                                              key, old->value.size() + added.size() + 4));
      REQUIRE((!fits || losses_ == Losses::kEvicted));
    }
  }
  void Remove(const std::string& key) {
    const bool was_expected = Expected(key) != nullptr;
    const bool was_there = cache_.Delete(key);
    if (was_there) REQUIRE(was_expected);
    if (was_expected && !was_there) REQUIRE(losses_ == Losses::kEvicted);
    model_.erase(key);
  }
  void Touch(const std::string& key) {
    SeenItem* old = Agreed(key);
    const std::uint32_t expires_at_s = RandomExpiry();
    const Presence presence = cache_.Touch(key, expires_at_s);
    if (old == nullptr) {
      REQUIRE(presence == Presence::kMiss);
    } else if (presence == Presence::kHit) {
      old->expires_at_s = expires_at_s;
    } else {
      REQUIRE(losses_ == Losses::kEvicted);  // For want of room for the expiry.
    }
  }
  void RewriteInPlace(const std::string& key) {
    SeenItem* old = Agreed(key);
    cache_.Visit(key, [&](Item& item) {
      if (!item.is_rewritable()) return;
      std::ranges::reverse(old->value);
      std::memcpy(item.value(), old->value.data(), old->value.size());
      item.set_cas(cache_.cache().NextCas(cache_.lane()));
      old->cas = item.cas();
    });
  }
  // Pins a value, or looks whether one pinned before is still what it was.
  void PinOrUnpin(const std::string& key) {
    if (pins_.size() < 5) {
      const SeenItem* old = Agreed(key);
      if (old != nullptr) pins_.emplace_back(cache_.Pin(key), old->value);
    } else {
      const auto it = pins_.begin() + static_cast<std::ptrdiff_t>(random_() % pins_.size());
      REQUIRE((ReadAll(it->first.value) == it->second));
      pins_.erase(it);
    }
  }
  void PassTime() {
    ++now_s_;
    for (Lane* lane : lanes_) lane->now_s = now_s_;
  }
  void Flush() {
    cache_.cache().FlushAll();
    model_.clear();
  }
  void ReserveAndDrop(const std::string& key) {
    const std::size_t bytes = RandomValue().size();
    const auto reserved = cache_.cache().Reserve(cache_.Spec(key, bytes), cache_.lane());
    if (!reserved) REQUIRE(losses_ == Losses::kEvicted);
  }

  // Notes the CAS of what was just stored; nothing can have evicted it yet.
  void Adopt(const std::string& key) {
    const auto seen = cache_.See(key);
    REQUIRE(seen);
    SeenItem& item = model_[key];
    item.cas = seen->cas;
    item.class_id = seen->class_id;
    REQUIRE((*seen == item));
  }
  // Either what was there is there unchanged, or nothing.
  void Resolve(const std::string& key) { (void)Agreed(key); }

  CacheFixture cache_;
  std::vector<Lane*> lanes_;
  std::uint32_t now_s_ = CacheFixture::kStartS;
  const Losses losses_;
  const std::size_t value_bytes_max_;
  std::mt19937_64 random_;
  const std::string noise_;
  std::map<std::string, SeenItem> model_;
  std::vector<std::pair<CacheFixture::Pinned, std::string>> pins_;
  std::size_t hits_ = 0;
  std::size_t lost_ = 0;
};

TEST_CASE("a cache with memory to spare behaves like a map", "[slab][cache][property]") {
  const unsigned seed = GENERATE(1U, 2U, 3U);
  CAPTURE(seed);
  // Values stay far below what 700 keys could fill, and below the item limit.
  ModelledCache modelled({.memory_bytes = 512 * kMiB, .hash_seed = seed}, Losses::kNone, 150'000,
                         seed);
  for (int step = 1; step <= Turns(10'000); ++step) {
    CAPTURE(step);
    modelled.Step();
    if (step % Turns(2500) == 0) modelled.CheckAll();
  }
  CHECK(modelled.hits() > static_cast<std::size_t>(Turns(1000)));
  CHECK(modelled.cache().evicted() == 0);
  modelled.DeleteAll();
}

TEST_CASE("a hit in a tiny cache is the last value written", "[slab][cache][property]") {
  const unsigned seed = GENERATE(1U, 2U, 3U, 4U);
  const std::uint64_t memory_bytes = (2 + seed % 3) * kMiB;
  const std::size_t value_bytes_max = seed % 2 == 0 ? 20'000 : 300'000;
  CAPTURE(seed, memory_bytes, value_bytes_max);
  ModelledCache modelled({.memory_bytes = memory_bytes, .hash_seed = seed}, Losses::kEvicted,
                         value_bytes_max, seed);
  // Enough for some evictions, also under a sanitizer.
  const int steps = std::max(Turns(12'000), 5'000);
  for (int step = 1; step <= steps; ++step) {
    CAPTURE(step);
    modelled.Step();
    if (step % Turns(3000) == 0) modelled.CheckAll();
  }
  CHECK(modelled.hits() > static_cast<std::size_t>(Turns(200)));
  CHECK(modelled.losses() > 10);
  CHECK(modelled.cache().evicted() > 10);
  CHECK(modelled.cache().cache().arena().pages_in_use() <= memory_bytes / kPageBytes);
  modelled.DeleteAll();
}

}  // namespace
}  // namespace larder::slab
