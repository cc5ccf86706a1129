#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "slab/engine/drop_purge.h"
#include "tests/mebibyte.h"
#include "tests/slab/cache_fixture.h"
#include "tests/slab/restart_fixture.h"
#include "tests/slab/run_together.h"

namespace larder::slab {
namespace {

class DropsTest : public CacheFixture {
 protected:
  using CacheFixture::CacheFixture;

  bool Drop(std::string_view prefix) { return cache().Drop(prefix); }
  // Until no drop is left that was made before.
  void Purge() {
    for (int steps = 0; cache().live_drops() != 0; ++steps) {
      REQUIRE(steps < 10'000);
      cache().engine().drop_purge.Step(lane());
    }
  }
};

TEST_CASE_METHOD(DropsTest, "a drop kills what begins with the prefix and was written before",
                 "[drops]") {
  for (const char* key : {"a", "ab", "abc", "abd", "b", "abcdefghijkl", "abcdefghijkm"}) {
    Set(key, "old");
  }
  REQUIRE(Drop("abc"));
  CHECK(Look("abc") == Presence::kDropped);
  CHECK(Look("abc") == Presence::kMiss);
  CHECK(Look("abcdefghijkl") == Presence::kDropped);
  for (const char* key : {"a", "ab", "abd", "b"}) CHECK(Look(key) == Presence::kHit);
  REQUIRE(Set("abcdefghijkl", "new") == StoreStatus::kStored);
  CHECK(Get("abcdefghijkl") == "new");
  // A second drop of the same prefix kills what is new.
  REQUIRE(Drop("abc"));
  CHECK(Look("abcdefghijkl") == Presence::kDropped);
  CHECK(Look("abcdefghijkm") == Presence::kDropped);
  cache().CheckInvariants();
}

TEST_CASE_METHOD(DropsTest, "prefixes of every length are dropped", "[drops]") {
  const std::string longest(kKeyBytesMax, 'k');
  for (std::size_t bytes = 1; bytes <= kKeyBytesMax; ++bytes) {
    REQUIRE(Set(longest, "v") == StoreStatus::kStored);
    REQUIRE(Set(longest.substr(0, bytes), "v") == StoreStatus::kStored);
    std::string other = longest.substr(0, bytes);
    other.back() = 'x';
    REQUIRE(Set(other, "v") == StoreStatus::kStored);
    REQUIRE(Drop(longest.substr(0, bytes)));
    CAPTURE(bytes);
    CHECK_FALSE(Get(longest));
    CHECK_FALSE(Get(longest.substr(0, bytes)));
    CHECK(Get(other) == "v");
    if (bytes > 1) {
      REQUIRE(Set(longest.substr(0, bytes - 1), "v") == StoreStatus::kStored);
      CHECK(Get(longest.substr(0, bytes - 1)) == "v");
    }
  }
}

TEST_CASE_METHOD(DropsTest, "nothing that changes an item brings a dropped one back", "[drops]") {
  const auto old = [&](const char* key) {
    Set(key, "1");
    const std::uint64_t cas = See(key)->cas;
    REQUIRE(Drop("k"));
    return cas;
  };
  (void)old("k1");
  CHECK(Append("k1", "2") == StoreStatus::kNotStored);
  (void)old("k2");
  CHECK(Replace("k2", "2") == StoreStatus::kNotStored);
  const std::uint64_t cas = old("k3");
  CHECK(Cas("k3", "2", cas) == StoreStatus::kNotFound);
  (void)old("k4");
  CHECK(Touch("k4", kSoonS) == Presence::kDropped);
  (void)old("k5");
  CHECK_FALSE(Delete("k5"));
  (void)old("k6");
  CHECK(Add("k6", "2") == StoreStatus::kStored);
  CHECK(Get("k6") == "2");
  (void)old("k7");
  CHECK(ReserveAndPublish({.mode = StoreMode::kReplace, .key = "k7", .value = "2"}) ==
        StoreStatus::kNotStored);
  CHECK(cache().live_drops() == 1);
}

TEST_CASE_METHOD(DropsTest, "a drop between a look and a new number leaves the item dead",
                 "[drops]") {
  Set("k", "1");
  CHECK(Visit("k", [&](Item& item) {
          REQUIRE(Drop("k"));
          cache().Renumber(item, lane());
        }) == Presence::kHit);
  CHECK(Look("k") == Presence::kDropped);
  cache().CheckInvariants();
}

TEST_CASE_METHOD(DropsTest, "a flush and a drop do not undo each other", "[drops]") {
  Set("ab", "1");
  Set("b", "1");
  REQUIRE(Drop("a"));
  cache().FlushAll();
  CHECK(Look("b") == Presence::kFlushed);
  CHECK(Look("ab") == Presence::kFlushed);
  Set("ab", "2");
  Set("b", "2");
  CHECK(Get("ab") == "2");
  REQUIRE(Drop("b"));
  CHECK(Look("b") == Presence::kDropped);
  CHECK(Get("ab") == "2");
  Purge();
  CHECK(Get("ab") == "2");
}

TEST_CASE_METHOD(DropsTest, "what is dropped is removed, and the drop forgotten", "[drops]") {
  constexpr int kItems = 60'000;
  for (int i = 0; i < kItems; ++i) Set("key" + std::to_string(i), "v");
  auto pinned = Pin("key12345");
  REQUIRE(Drop("key1"));
  REQUIRE(Drop("key2"));
  CHECK(cache().live_drops() == 2);
  Purge();
  std::uint64_t left = 0;
  for (int i = 0; i < kItems; ++i) {
    const std::string number = std::to_string(i);
    left += number[0] != '1' && number[0] != '2' ? 1 : 0;
  }
  CHECK(items() == left);
  CHECK(alive().items == left);
  CHECK(ReadAll(pinned.value) == "v");
  pinned = {};
  // Nothing is suspect any more.
  Set("key1", "v");
  CHECK(Get("key1") == "v");
  cache().CheckInvariants();
}

TEST_CASE_METHOD(DropsTest, "a drop that comes during a search stays for the next one", "[drops]") {
  for (int i = 0; i < 60'000; ++i) Set("key" + std::to_string(i), "v");
  REQUIRE(Drop("key1"));
  cache().engine().drop_purge.Step(lane());
  REQUIRE(cache().live_drops() == 1);
  REQUIRE(Drop("key2"));
  while (cache().live_drops() == 2) cache().engine().drop_purge.Step(lane());
  CHECK(cache().live_drops() == 1);
  for (int i = 0; i < 60'000; ++i) {
    const std::string key = "key" + std::to_string(i);
    if (key[3] == '1' || key[3] == '2') REQUIRE_FALSE(Get(key));
  }
  Purge();
  cache().CheckInvariants();
}

TEST_CASE("drops are merged, and refused when there are too many", "[drops]") {
  Cache::Options options;
  options.drops_max = 3;
  CacheFixture cache(options);
  cache.Set("zz", "v");
  REQUIRE(cache.cache().Drop("ab"));
  REQUIRE(cache.cache().Drop("abc"));
  REQUIRE(cache.cache().Drop("b"));
  CHECK(cache.cache().live_drops() == 3);
  CHECK_FALSE(cache.cache().Drop("z"));
  CHECK(cache.Get("zz") == "v");
  CHECK(cache.cache().live_drops() == 3);
  // The same one again takes no room.
  REQUIRE(cache.cache().Drop("b"));
  // One that covers others takes their room.
  REQUIRE(cache.cache().Drop("a"));
  CHECK(cache.cache().live_drops() == 2);
  REQUIRE(cache.cache().Drop("z"));
  CHECK_FALSE(cache.Get("zz"));

  Cache::Options none;
  none.drops_max = 0;
  CacheFixture strict(none);
  strict.Set("k", "v");
  CHECK_FALSE(strict.cache().Drop("k"));
  CHECK(strict.Get("k") == "v");
}

TEST_CASE_METHOD(DropsTest, "as many as 65,536 drops are alive at a time", "[drops]") {
  constexpr int kDrops = 65'536;
  for (int i = 0; i < kDrops; i += 16) Set("tag" + std::to_string(i) + ":key", "old");
  Set("other", "old");
  for (int i = 0; i < kDrops; ++i) {
    const std::string prefix = "tag" + std::to_string(i) + ":";
    if (!Drop(prefix)) FAIL("refused at " << i);
  }
  CHECK(cache().live_drops() == kDrops);
  CHECK_FALSE(Drop("one more"));
  int seen = 0;
  for (int i = 0; i < kDrops; i += 16) {
    seen += Get("tag" + std::to_string(i) + ":key").has_value() ? 1 : 0;
  }
  CHECK(seen == 0);
  CHECK(Get("other") == "old");
  REQUIRE(Drop("tag"));
  CHECK(cache().live_drops() == 1);
  Purge();
  cache().CheckInvariants();
}

// A cache in a few lines: when each key and each prefix was written or dropped last.
class Model {
 public:
  void Set(const std::string& key) { written_[key] = ++now_; }
  void Delete(const std::string& key) { written_.erase(key); }
  void Drop(const std::string& prefix) {
    std::erase_if(written_, [&](const auto& item) { return item.first.starts_with(prefix); });
  }
  std::optional<std::string> Get(const std::string& key) const {
    const auto found = written_.find(key);
    if (found == written_.end()) return std::nullopt;
    return std::to_string(found->second);
  }
  std::string last() const { return std::to_string(now_); }
  std::size_t size() const { return written_.size(); }

 private:
  std::map<std::string, int> written_;
  int now_ = 0;
};

TEST_CASE_METHOD(DropsTest, "drops agree with a model", "[drops]") {
  std::mt19937 random(7);
  // Few letters, so that prefixes meet; up to the longest.
  const auto word = [&](std::size_t bytes_max) {
    std::string text(1 + random() % bytes_max, 'a');
    for (char& letter : text) letter = static_cast<char>('a' + random() % 2);
    if (random() % 50 == 0) text.append(kKeyBytesMax - text.size(), 'z');
    return text;
  };
  Model model;
  std::set<std::string> keys;
  for (int step = 0; step < 60'000; ++step) {
    const std::string key = word(12);
    keys.insert(key);
    switch (random() % 16) {
      case 0: {
        // Short ones seldom, because they leave little.
        const std::string prefix = word(random() % 40 == 0 ? 3 : 14);
        REQUIRE(Drop(prefix));
        model.Drop(prefix);
        break;
      }
      case 1:
        (void)Delete(key);
        model.Delete(key);
        break;
      case 2:
        cache().engine().drop_purge.Step(lane());
        break;
      case 3:
      case 4:
      case 5:
      case 6:
      case 7:
        model.Set(key);
        REQUIRE(Set(key, model.last()) == StoreStatus::kStored);
        break;
      default:
        REQUIRE(Get(key) == model.Get(key));
    }
  }
  for (const std::string& key : keys) REQUIRE(Get(key) == model.Get(key));
  Purge();
  CHECK(items() == model.size());
  cache().CheckInvariants();
}

// Groups of keys that one thread drops while others write and read them. A value begins with the
// number of the write that it comes from; appended parts have numbers of their own.
class DroppedGroups : public DropsTest {
 protected:
  static constexpr std::size_t kGroups = 4;
  static constexpr std::uint64_t kWrites = 6'000;
  static constexpr std::size_t kDropsMin = 100;

  struct Group {
    // Drops that have begun and ended.
    std::atomic<std::uint64_t> begun{0};
    std::atomic<std::uint64_t> ended{0};
    // By writer: the last write that has ended.
    std::array<std::atomic<std::uint64_t>, kWorkers> written{};
  };

  // "g<group>:<writer>"; the numbers of a writer's values grow.
  static std::string KeyOf(std::size_t group, std::size_t writer) {
    return "g" + std::to_string(group) + ":" + std::to_string(writer);
  }

  // Reads a key of the writer, whose first part must be younger than the last drop.
  void CheckRead(std::size_t number, std::size_t writer, Lane& lane) {
    const std::uint64_t gone = gone_[number][writer].load(std::memory_order_acquire);
    const std::string key = KeyOf(number, writer);
    std::string value;
    const Presence presence =
        cache().Visit(Key(key), lane, [&](Item& item) { value = ReadAll(cache().Value(item)); });
    if (presence == Presence::kHit && std::stoull(value) <= gone) ++revived_;
  }

  // Writes, and looks whether the value is there when no drop has come meanwhile.
  void Write(std::size_t writer, std::uint64_t number, Lane& lane) {
    const std::size_t chosen = number % kGroups;
    Group& group = groups_[chosen];
    const std::uint64_t ended = group.ended.load(std::memory_order_acquire);
    const std::uint64_t begun = group.begun.load(std::memory_order_acquire);
    const std::string key = KeyOf(chosen, writer);
    const std::string value = std::to_string(number) + " ";
    const ItemSpec spec = {.key = Key(key),
                           .value_bytes = static_cast<std::uint32_t>(value.size())};
    // Some writes depend on what is there.
    StoreStatus status = StoreStatus::kNotStored;
    if (number % 3 == 1) status = cache().Store(StoreMode::kAppend, spec, value, 0, lane).status;
    if (number % 3 == 2) {
      const Presence presence = cache().Visit(Key(key), lane, [&](Item& item) {
        if (item.is_rewritable()) cache().Renumber(item, lane);
      });
      if (presence == Presence::kHit) return;
    }
    if (status != StoreStatus::kStored) {
      status = cache().Store(StoreMode::kSet, spec, value, 0, lane).status;
      if (status != StoreStatus::kStored) ++lost_;
      group.written[writer].store(number, std::memory_order_release);
    }
    const bool is_there = cache().Visit(Key(key), lane, [](Item&) {}) == Presence::kHit;
    const bool is_undisturbed =
        begun == ended && group.begun.load(std::memory_order_acquire) == begun;
    if (is_undisturbed && !is_there) ++lost_;
  }

  // What had been written before the drop began is gone when it has ended.
  void DropGroup(std::size_t number) {
    Group& group = groups_[number];
    group.begun.fetch_add(1);
    std::array<std::uint64_t, kWorkers> written{};
    for (std::size_t i = 0; i < kWorkers; ++i) written[i] = group.written[i].load();
    if (!cache().Drop("g" + std::to_string(number) + ":")) ++lost_;
    for (std::size_t i = 0; i < kWorkers; ++i) gone_[number][i].store(written[i]);
    group.ended.fetch_add(1);
  }

  std::array<Group, kGroups> groups_;
  // By group and writer: the last write that had ended when the last drop that is over began. All
  // writes up to it are gone.
  std::array<std::array<std::atomic<std::uint64_t>, kWorkers>, kGroups> gone_{};
  std::atomic<int> revived_{0};
  std::atomic<int> lost_{0};
  std::atomic<std::size_t> writing_{kWorkers};
  std::atomic<std::size_t> drops_{0};
};

TEST_CASE_METHOD(DroppedGroups, "writers beside drops: nothing old is seen, nothing new is lost",
                 "[drops]") {
  std::vector<std::function<void()>> threads;
  for (std::size_t writer = 0; writer < kWorkers; ++writer) {
    threads.emplace_back([this, writer, &lane = NewLane()] {
      // The dropper may get its turn late.
      for (std::uint64_t number = 1; number <= kWrites || drops_ < kDropsMin; ++number) {
        Write(writer, number, lane);
        CheckRead(number % kGroups, (writer + number) % kWorkers, lane);
      }
      --writing_;
    });
  }
  threads.emplace_back([this] {
    for (; writing_ != 0; ++drops_) DropGroup(drops_ % kGroups);
  });
  threads.emplace_back([this, &lane = NewLane()] {
    while (writing_ != 0) cache().engine().drop_purge.Step(lane);
  });
  RunTogether(threads);
  CHECK(revived_ == 0);
  CHECK(lost_ == 0);
  for (std::size_t group = 0; group < kGroups; ++group) CHECK(groups_[group].ended > 0);
  Purge();
  cache().CheckInvariants();
}

// The prefixes have one length and one end, so the filter lets the reader's keys pass.
TEST_CASE_METHOD(DropsTest, "what begins with no dropped prefix lives beside drops of its like",
                 "[drops]") {
  constexpr int kKeys = 200;
  const auto key_of = [](int i) { return fmt::format("a{:04}:section:x", i); };
  for (int i = 0; i < kKeys; ++i) Set(key_of(i), "v");
  Lane& reading = NewLane();
  Lane& purging = NewLane();
  std::atomic<bool> is_over{false};
  std::atomic<int> drops{0};
  std::atomic<int> lost{0};
  RunTogether({[&] {
                 for (int i = 0; i < 200'000 || drops < 1'000; ++i) {
                   const std::string key = key_of(i % kKeys);
                   if (cache().Visit(Key(key), reading, [](Item&) {}) != Presence::kHit) ++lost;
                 }
                 is_over = true;
               },
               [&] {
                 for (; !is_over; ++drops) {
                   if (!Drop(fmt::format("b{:04}:section:", drops.load() % 10'000))) ++lost;
                 }
               },
               [&] {
                 while (!is_over) cache().engine().drop_purge.Step(purging);
               }});
  CHECK(lost == 0);
  Purge();
  CHECK(cache().engine().drops.bytes() == 0);
  cache().CheckInvariants();
}

TEST_CASE_METHOD(RestartTest, "what was dropped stays so over a restart", "[drops][restart]") {
  for (int i = 0; i < 3000; ++i) cache().Set("key" + std::to_string(i), "v");
  REQUIRE(cache().cache().Drop("key1"));
  REQUIRE(cache().cache().Drop("key25"));
  cache().Set("key25", "new");
  Restart();
  REQUIRE(Complaint().empty());
  CHECK(cache().cache().live_drops() == 0);
  CHECK(cache().Get("key25") == "new");
  for (int i = 0; i < 3000; ++i) {
    const std::string key = "key" + std::to_string(i);
    if (key == "key25") continue;
    const bool is_dropped = key.starts_with("key1") || key.starts_with("key25");
    REQUIRE(cache().Get(key).has_value() == !is_dropped);
  }
  cache().cache().CheckInvariants();
}

TEST_CASE_METHOD(DropsTest, "the removal record of a dropped item says when it was dropped",
                 "[drops]") {
  cache().Tick(lane().now_s);
  Set("k", "v");
  lane().now_s += 4;
  cache().Tick(lane().now_s);
  REQUIRE(Drop("k"));
  lane().now_s += 5;
  cache().Tick(lane().now_s);
  REQUIRE(Look("k") == Presence::kDropped);
  const auto record = cache().LastRemovalOf(cache().Hash("k"), lane());
  REQUIRE(record);
  CHECK(record->reason == RemovalReason::kDropped);
  CHECK(record->age_s == 4);
  CHECK(record->ago_s == 5);
}

TEST_CASE("dropped items make room before live ones are evicted", "[drops]") {
  Cache::Options options;
  options.memory_bytes = 4 * kMiB;
  options.evict = false;
  CacheFixture cache(options);
  const std::string value = Noise(1000, 1);
  int stored = 0;
  while (cache.Set("old" + std::to_string(stored), value) == StoreStatus::kStored) ++stored;
  REQUIRE(cache.cache().Drop("old"));
  while (cache.cache().live_drops() != 0) cache.cache().BalancePages(cache.lane());
  for (int i = 0; i < stored; ++i) {
    if (cache.Set("new" + std::to_string(i), value) != StoreStatus::kStored) FAIL("no room " << i);
  }
}

}  // namespace
}  // namespace larder::slab
