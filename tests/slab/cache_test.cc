#include "slab/cache.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/slab/cache_fixture.h"
#include "tests/slab/turns.h"

namespace larder::slab {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint32_t kSoonS = CacheFixture::kStartS + 10;

// --- Store modes -------------------------------------------------------------------------------

TEST_CASE_METHOD(CacheFixture, "set stores value, flags and expiry", "[slab][cache]") {
  CHECK(Look("k") == Presence::kMiss);
  CHECK(Store({.key = "k", .value = "abc", .flags = 7, .expires_at_s = kSoonS}) ==
        StoreStatus::kStored);
  const auto seen = See("k");
  REQUIRE(seen);
  CHECK(seen->value == "abc");
  CHECK(seen->client_flags == 7);
  CHECK(seen->expires_at_s == kSoonS);
  CHECK(Set("k", "") == StoreStatus::kStored);
  CHECK(Get("k") == "");
  CHECK(See("k")->client_flags == 0);
  CHECK(See("k")->expires_at_s == 0);
  cache().CheckInvariants();
}

TEST_CASE_METHOD(CacheFixture, "set replaces values of any other size", "[slab][cache]") {
  for (const std::size_t before : {0U, 10U, 5000U, 100'000U, 500'000U}) {
    for (const std::size_t after : {0U, 10U, 5000U, 100'000U, 500'000U}) {
      CAPTURE(before, after);
      CHECK(Set("k", Noise(before, 1)) == StoreStatus::kStored);
      CHECK(Set("k", Noise(after, 2)) == StoreStatus::kStored);
      CHECK((Get("k") == Noise(after, 2)));
      CHECK(items() == 1);
    }
  }
  CHECK(Delete("k"));
  CHECK(used_chunks() == 0);
}

TEST_CASE_METHOD(CacheFixture, "set tells flags from no flags when it overwrites in place",
                 "[slab][cache]") {
  // With and without flags the items fall into one class.
  CHECK(Store({.key = "k", .value = "abcd", .flags = 1}) == StoreStatus::kStored);
  const ClassId class_id = See("k")->class_id;
  CHECK(Store({.key = "k", .value = "efghijkl"}) == StoreStatus::kStored);
  CHECK(See("k")->class_id == class_id);
  CHECK(See("k")->client_flags == 0);
  CHECK(Get("k") == "efghijkl");
  CHECK(Store({.key = "k", .value = "mnop", .flags = ~0U}) == StoreStatus::kStored);
  CHECK(See("k")->client_flags == ~0U);
  CHECK(Get("k") == "mnop");
}

TEST_CASE_METHOD(CacheFixture, "keys of any length hold any bytes", "[slab][cache]") {
  const std::string bytes = Noise(250, 3);
  for (std::size_t length = 1; length <= 250; ++length) {
    REQUIRE(Set(bytes.substr(0, length), std::to_string(length)) == StoreStatus::kStored);
  }
  for (std::size_t length = 1; length <= 250; ++length) {
    REQUIRE(Get(bytes.substr(0, length)) == std::to_string(length));
  }
  CHECK(items() == 250);
  cache().CheckInvariants();
}

TEST_CASE_METHOD(CacheFixture, "add refuses a key that is present", "[slab][cache]") {
  CHECK(Add("k", "a") == StoreStatus::kStored);
  CHECK(Add("k", "b") == StoreStatus::kNotStored);
  CHECK(Get("k") == "a");
  CHECK(Add("large", Noise(500'000, 1)) == StoreStatus::kStored);
  CHECK(Add("large", Noise(500'000, 2)) == StoreStatus::kNotStored);
  CHECK((Get("large") == Noise(500'000, 1)));
}

TEST_CASE_METHOD(CacheFixture, "replace refuses a key that is absent", "[slab][cache]") {
  CHECK(Replace("k", "a") == StoreStatus::kNotStored);
  CHECK(Replace("k", Noise(500'000, 1)) == StoreStatus::kNotStored);
  CHECK(Look("k") == Presence::kMiss);
  CHECK(Set("k", "a") == StoreStatus::kStored);
  CHECK(Replace("k", "b") == StoreStatus::kStored);
  CHECK(Get("k") == "b");
  CHECK(used_chunks() == 1);
}

TEST_CASE_METHOD(CacheFixture, "a store tells the CAS of what it stored", "[slab][cache]") {
  const std::size_t value_bytes = GENERATE(std::size_t{5}, std::size_t{5000}, std::size_t{300'000});
  CAPTURE(value_bytes);
  const std::string value = Noise(value_bytes, 1);
  for (const StoreMode mode : {StoreMode::kSet, StoreMode::kReplace, StoreMode::kAppend,
                               StoreMode::kPrepend, StoreMode::kSet}) {
    const StoreOutcome outcome = StoreWithClass({.mode = mode, .key = "k", .value = value});
    REQUIRE(outcome.status == StoreStatus::kStored);
    CHECK(outcome.cas == See("k")->cas);
  }
  const StoreOutcome refused =
      StoreWithClass({.mode = StoreMode::kAdd, .key = "k", .value = value});
  CHECK(refused.status == StoreStatus::kNotStored);
  CHECK(refused.cas == 0);
}

TEST_CASE_METHOD(CacheFixture, "a cas that is older than its item may store a stale one",
                 "[slab][cache][stale]") {
  const PublishTerms terms{.mode = StoreMode::kCas, .is_stale_allowed = true};
  const auto publish = [&](std::uint64_t cas_unique) {
    PublishTerms with_cas = terms;
    with_cas.cas_unique = cas_unique;
    return PublishChosen("k", "late", with_cas, std::nullopt).status;
  };
  const auto is_stale = [&] {
    bool answer = false;
    Visit("k", [&](Item& item) { answer = item.is_stale(); });
    return answer;
  };
  CHECK(publish(5) == StoreStatus::kNotFound);
  SECTION("a chosen CAS is compared as a number") {
    PublishChosen("k", "v", {}, 100);
    CHECK(publish(101) == StoreStatus::kExists);
    CHECK(Get("k") == "v");
    CHECK(publish(100) == StoreStatus::kStored);
    CHECK_FALSE(is_stale());
    PublishChosen("k", "v", {}, 100);
    CHECK(Touch("k", kSoonS) == Presence::kHit);
    Visit("k", [&](Item& item) { item.size_and_state |= Item::kIsWon; });
    CHECK(publish(99) == StoreStatus::kStored);
    CHECK(is_stale());
    CHECK(See("k")->expires_at_s == kSoonS);
    Visit("k", [&](Item& item) { CHECK(item.is_won()); });
  }
  SECTION("numbers of the cache's own are older in whatever order lanes drew them") {
    Lane& first = lane();
    Lane& other = NewLane();
    REQUIRE(Set("k", "v") == StoreStatus::kStored);
    const std::uint64_t low = See("k")->cas;
    Use(other);
    REQUIRE(Set("k", "v") == StoreStatus::kStored);
    const std::uint64_t high = See("k")->cas;
    REQUIRE(high > low);
    CHECK(publish(low) == StoreStatus::kStored);
    CHECK(is_stale());
    Use(first);
    REQUIRE(Set("k", "v") == StoreStatus::kStored);
    REQUIRE(See("k")->cas < high);
    CHECK(publish(high) == StoreStatus::kStored);
    CHECK(is_stale());
    REQUIRE(Set("k", "v") == StoreStatus::kStored);
    CHECK(publish(kWideCas) == StoreStatus::kExists);  // Never given out.
  }
}

TEST_CASE_METHOD(CacheFixture, "a delete with a CAS takes only the version it names",
                 "[slab][cache]") {
  CHECK(DeleteIfUnchanged("k", 1).status == DeleteStatus::kNotFound);
  REQUIRE(Set("k", "x") == StoreStatus::kStored);
  const SeenItem seen = *See("k");
  CHECK(DeleteIfUnchanged("k", seen.cas + 1).status == DeleteStatus::kExists);
  CHECK(DeleteIfUnchanged("k", 0).status == DeleteStatus::kExists);
  CHECK(Get("k") == "x");
  const DeleteOutcome outcome = DeleteIfUnchanged("k", seen.cas);
  CHECK(outcome.status == DeleteStatus::kDeleted);
  CHECK(outcome.class_id == seen.class_id);
  CHECK(Look("k") == Presence::kMiss);
  CHECK(items() == 0);
  cache().CheckInvariants();
}

TEST_CASE_METHOD(CacheFixture, "cas stores only over the version it names", "[slab][cache]") {
  const std::string value = Noise(GENERATE(3U, 500'000U), 1);
  CHECK(Cas("k", value, 1) == StoreStatus::kNotFound);
  CHECK(Set("k", "a") == StoreStatus::kStored);
  const std::uint64_t first = See("k")->cas;
  CHECK(Cas("k", value, first + 1) == StoreStatus::kExists);
  CHECK(Get("k") == "a");
  CHECK(Cas("k", value, first) == StoreStatus::kStored);
  CHECK((Get("k") == value));
  CHECK(Cas("k", "c", first) == StoreStatus::kExists);
  CHECK(See("k")->cas != first);
}

TEST_CASE_METHOD(CacheFixture, "every write has a CAS of its own, over all lanes",
                 "[slab][cache]") {
  Lane& other = NewLane();
  Lane& first = lane();
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 10'000; ++i) {
    Use(i % 3 == 0 ? other : first);
    if (i % 1000 == 0) cache().FlushAll();
    switch (i % 4) {
      case 0:
        REQUIRE(Set("k", std::to_string(i)) == StoreStatus::kStored);
        break;
      case 1:
        REQUIRE(Append("k", "+") == StoreStatus::kStored);
        break;
      case 2:
        REQUIRE(ReserveAndPublish({.key = "k", .value = "x"}) == StoreStatus::kStored);
        break;
      case 3:
        Visit("k", [&](Item& item) { item.set_cas(cache().NextCas(lane())); });
        break;
    }
    REQUIRE(seen.insert(See("k")->cas).second);
  }
}

TEST_CASE_METHOD(CacheFixture, "an item over the limit is too large", "[slab][cache]") {
  const std::size_t bytes_max = kMiB - Item::OverheadBytes(1);
  const std::string largest = Noise(bytes_max, 1);
  const std::string too_large = Noise(bytes_max + 1, 1);
  CHECK(cache().engine().admission.Fits(Spec("k", bytes_max)));
  CHECK_FALSE(cache().engine().admission.Fits(Spec("k", bytes_max + 1)));
  CHECK(Set("k", largest) == StoreStatus::kStored);
  CHECK((Get("k") == largest));
  CHECK(Replace("k", too_large) == StoreStatus::kTooLarge);
  CHECK((Get("k") == largest));
  CHECK(Set("k", too_large) == StoreStatus::kTooLarge);
  CHECK(Look("k") == Presence::kMiss);
  CHECK(used_chunks() == 0);
}

TEST_CASE("the forbidden key is never stored", "[slab][cache]") {
  CacheFixture cache(Cache::Options{.forbidden_key = "forbidden"});
  const std::string value(GENERATE(std::size_t{1}, std::size_t{300'000}), 'x');
  for (const StoreMode mode :
       {StoreMode::kSet, StoreMode::kAdd, StoreMode::kAppend, StoreMode::kPrepend}) {
    const StoreArgs args{.mode = mode, .key = "forbidden", .value = value};
    CHECK(cache.Store(args) == StoreStatus::kForbidden);
    CHECK(cache.ReserveAndPublish(args) == StoreStatus::kForbidden);
  }
  CHECK(cache.Set("forbid", value) == StoreStatus::kStored);
  CHECK(cache.Look("forbidden") == Presence::kMiss);
  CHECK(cache.items() == 1);
}

TEST_CASE_METHOD(CacheFixture, "a store tells the class of the item", "[slab][cache]") {
  const auto stored = StoreWithClass({.key = "k", .value = "abc"});
  CHECK(stored.class_id == cache().engine().classes.ladder().ClassFor(Item::OverheadBytes(1) + 3));
  CHECK(stored.class_id == See("k")->class_id);
  const auto refused =
      StoreWithClass({.mode = StoreMode::kCas, .key = "k", .value = Noise(3000, 1), .cas = ~0ULL});
  CHECK(refused.status == StoreStatus::kExists);
  CHECK(refused.class_id == stored.class_id);
  const auto large = StoreWithClass({.key = "k", .value = Noise(500'000, 1)});
  CHECK(large.class_id == cache().engine().classes.ladder().largest());
  CHECK(cache().Delete(Key("k"), lane()) == cache().engine().classes.ladder().largest());
}

// --- Delete, expiry and flush ------------------------------------------------------------------

TEST_CASE_METHOD(CacheFixture, "delete removes an item and its chunks", "[slab][cache]") {
  const std::string value = Noise(GENERATE(3U, 100'000U, 700'000U), 1);
  CHECK_FALSE(Delete("k"));
  REQUIRE(Set("k", value) == StoreStatus::kStored);
  CHECK(Delete("k"));
  CHECK_FALSE(Delete("k"));
  CHECK(Look("k") == Presence::kMiss);
  CHECK(used_chunks() == 0);
  CHECK(items() == 0);
  CHECK(bytes() == 0);
}

TEST_CASE_METHOD(CacheFixture, "an item expires at its second", "[slab][cache]") {
  REQUIRE(Store({.key = "k", .value = "v", .expires_at_s = kSoonS}) == StoreStatus::kStored);
  lane().now_s = kSoonS - 1;
  CHECK(Look("k") == Presence::kHit);
  lane().now_s = kSoonS;
  CHECK(Look("k") == Presence::kExpired);
  CHECK(Look("k") == Presence::kMiss);
  CHECK(used_chunks() == 0);
}

TEST_CASE_METHOD(CacheFixture, "an expired item counts as absent for every command",
                 "[slab][cache]") {
  const auto expired = [&] {
    lane().now_s = kStartS;
    REQUIRE(Store({.key = "k", .value = "v", .expires_at_s = kSoonS}) == StoreStatus::kStored);
    lane().now_s = kSoonS + 5;
    return "k";
  };
  CHECK(Replace(expired(), "x") == StoreStatus::kNotStored);
  CHECK(Append(expired(), "x") == StoreStatus::kNotStored);
  CHECK(Cas(expired(), "x", 1) == StoreStatus::kNotFound);
  CHECK_FALSE(Delete(expired()));
  CHECK(Add(expired(), "x") == StoreStatus::kStored);
  CHECK(Get("k") == "x");
  CHECK(items() == 1);
  cache().CheckInvariants();
}

TEST_CASE_METHOD(CacheFixture, "a moved expiry holds", "[slab][cache]") {
  REQUIRE(Store({.key = "k", .value = "v", .expires_at_s = kSoonS}) == StoreStatus::kStored);
  const std::uint64_t cas = See("k")->cas;
  CHECK(Touch("k", kSoonS + 100) == Presence::kHit);
  lane().now_s = kSoonS + 50;
  CHECK(See("k")->cas == cas);
  CHECK(Append("k", "w") == StoreStatus::kStored);
  lane().now_s = kSoonS + 100;
  CHECK(Look("k") == Presence::kExpired);
}

TEST_CASE_METHOD(CacheFixture, "flush takes what was written before, and nothing after",
                 "[slab][cache]") {
  REQUIRE(Set("old", "1") == StoreStatus::kStored);
  REQUIRE(Set("overwritten", "1") == StoreStatus::kStored);
  cache().FlushAll();
  CHECK(Set("overwritten", "2") == StoreStatus::kStored);
  CHECK(Set("new", "2") == StoreStatus::kStored);
  CHECK(Look("old") == Presence::kFlushed);
  CHECK(Look("old") == Presence::kMiss);
  CHECK(Get("overwritten") == "2");
  CHECK(Get("new") == "2");
  CHECK(items() == 2);
}

TEST_CASE_METHOD(CacheFixture, "flush counts for the lanes of all workers", "[slab][cache]") {
  Lane& first = lane();
  Lane& second = NewLane();
  Lane& third = NewLane();
  for (Lane* each : {&first, &second, &third}) {
    Use(*each);
    REQUIRE(Set("before" + std::to_string(each->cas_next), "v") == StoreStatus::kStored);
    REQUIRE(Set("k", "v") == StoreStatus::kStored);
  }
  cache().FlushAll();
  for (Lane* each : {&third, &first, &second}) {
    Use(*each);
    CHECK(Look("k") == (each == &third ? Presence::kFlushed : Presence::kHit));
    CHECK(Set("k", "w") == StoreStatus::kStored);
  }
  cache().FlushAll();
  cache().FlushAll();
  CHECK(Look("k") == Presence::kFlushed);
}

TEST_CASE_METHOD(CacheFixture, "a flushed item counts as absent for every command",
                 "[slab][cache]") {
  const auto flushed = [&] {
    REQUIRE(Set("k", "v") == StoreStatus::kStored);
    cache().FlushAll();
    return "k";
  };
  CHECK(Replace(flushed(), "x") == StoreStatus::kNotStored);
  CHECK(Prepend(flushed(), "x") == StoreStatus::kNotStored);
  CHECK(Cas(flushed(), "x", 1) == StoreStatus::kNotFound);
  CHECK_FALSE(Delete(flushed()));
  CHECK(Add(flushed(), "x") == StoreStatus::kStored);
  CHECK(Get("k") == "x");
}

// --- Reserved items ----------------------------------------------------------------------------

TEST_CASE_METHOD(CacheFixture, "a reserved item is unseen until it is published", "[slab][cache]") {
  const std::string value = Noise(GENERATE(5U, 100'000U, 700'000U), 1);
  REQUIRE(Set("k", "old") == StoreStatus::kStored);
  auto reserved = cache().Reserve(Spec("k", value.size()), lane());
  REQUIRE(reserved);
  CHECK(reserved->value_bytes() == value.size());
  CHECK(reserved->key().bytes == "k");
  CHECK(reserved->key().hash == cache().Hash("k"));
  WriteAll(value, reserved->value());
  CHECK(Get("k") == "old");
  CHECK(items() == 1);
  const auto outcome = cache().Publish(std::move(*reserved), {}, lane());
  CHECK(outcome.status == StoreStatus::kStored);
  CHECK((Get("k") == value));
  CHECK(items() == 1);
  cache().CheckInvariants();
}

TEST_CASE_METHOD(CacheFixture, "a reserved item that is dropped leaves no trace", "[slab][cache]") {
  const std::size_t value_bytes = GENERATE(0U, 5U, 100'000U, 131'072U, 900'000U);
  {
    auto reserved = cache().Reserve(Spec("k", value_bytes), lane());
    REQUIRE(reserved);
    const ReservedItem moved = std::move(*reserved);
    CHECK(used_chunks() > 0);
  }
  CHECK(used_chunks() == 0);
  CHECK(items() == 0);
  CHECK(bytes() == 0);
  CHECK(Look("k") == Presence::kMiss);
  cache().CheckInvariants();
}

TEST_CASE_METHOD(CacheFixture, "a reserved item that is refused leaves no trace", "[slab][cache]") {
  const std::string value = Noise(GENERATE(5U, 500'000U), 1);
  CHECK(ReserveAndPublish({.mode = StoreMode::kReplace, .key = "k", .value = value}) ==
        StoreStatus::kNotStored);
  CHECK(ReserveAndPublish({.mode = StoreMode::kAppend, .key = "k", .value = value}) ==
        StoreStatus::kNotStored);
  CHECK(ReserveAndPublish({.mode = StoreMode::kCas, .key = "k", .value = value}) ==
        StoreStatus::kNotFound);
  CHECK(used_chunks() == 0);
  CHECK(Add("k", "v") == StoreStatus::kStored);
  CHECK(ReserveAndPublish({.mode = StoreMode::kAdd, .key = "k", .value = value}) ==
        StoreStatus::kNotStored);
  CHECK(ReserveAndPublish({.mode = StoreMode::kAppend, .key = "k", .value = value}) ==
        StoreStatus::kStored);
  CHECK((Get("k") == "v" + value));
  cache().CheckInvariants();
}

TEST_CASE_METHOD(CacheFixture, "a reserved item over the limit is refused", "[slab][cache]") {
  const auto reserved = cache().Reserve(Spec("k", kMiB), lane());
  REQUIRE_FALSE(reserved);
  CHECK(reserved.error() == StoreStatus::kTooLarge);
}

TEST_CASE_METHOD(CacheFixture, "an item reserved before a flush and published after it stays",
                 "[slab][cache]") {
  auto reserved = cache().Reserve(Spec("k", 3), lane());
  REQUIRE(reserved);
  WriteAll("abc", reserved->value());
  cache().FlushAll();
  cache().Publish(std::move(*reserved), {}, lane());
  CHECK(Get("k") == "abc");
}

// --- Pins --------------------------------------------------------------------------------------

TEST_CASE_METHOD(CacheFixture, "a pinned value survives whatever happens to its key",
                 "[slab][cache]") {
  const std::string value = Noise(GENERATE(100U, 100'000U, 400'000U), 1);
  const std::string same_size = Noise(value.size(), 2);
  const int fate = GENERATE(range(0, 6));
  CAPTURE(value.size(), fate);
  REQUIRE(Store({.key = "k", .value = value, .expires_at_s = kSoonS}) == StoreStatus::kStored);
  auto pinned = Pin("k");
  REQUIRE(pinned.handle);
  std::string expected;
  switch (fate) {
    case 0:
      CHECK(Delete("k"));
      break;
    case 1:
      CHECK(Set("k", same_size) == StoreStatus::kStored);
      expected = same_size;
      break;
    case 2:
      CHECK(Set("k", "short") == StoreStatus::kStored);
      expected = "short";
      break;
    case 3:
      CHECK(Append("k", "more") == StoreStatus::kStored);
      expected = value + "more";
      break;
    case 4:
      lane().now_s = kSoonS;
      CHECK(Look("k") == Presence::kExpired);
      break;
    case 5:
      cache().FlushAll();
      CHECK(Look("k") == Presence::kFlushed);
      break;
  }
  for (int i = 0; i < 6; ++i) (void)Set("other" + std::to_string(i), same_size);
  CHECK((ReadAll(pinned.value) == value));
  if (!expected.empty()) CHECK((Get("k") == expected));

  pinned.handle = ItemHandle();
  for (int i = 0; i < 6; ++i) CHECK(Delete("other" + std::to_string(i)));
  CHECK(Delete("k") == !expected.empty());
  CHECK(used_chunks() == 0);
  cache().CheckInvariants();
}

TEST_CASE("a pinned value outlives eviction and page moves", "[slab][cache]") {
  CacheFixture cache({.memory_bytes = 2 * kMiB});
  const std::string value = Noise(GENERATE(1000U, 100'000U, 300'000U), 1);
  REQUIRE(cache.Set("k", value) == StoreStatus::kStored);
  {
    const auto pinned = cache.Pin("k");
    cache.Fill(value.size());
    cache.Fill(5000, 1);
    CHECK(cache.evicted() > 0);
    CHECK((ReadAll(pinned.value) == value));
  }
  cache.Fill(value.size());
  CHECK(cache.Look("k") == Presence::kMiss);
  cache.cache().CheckInvariants();
}

TEST_CASE_METHOD(CacheFixture, "a pinned or chained value may not be rewritten in place",
                 "[slab][cache]") {
  REQUIRE(Set("k", "1") == StoreStatus::kStored);
  REQUIRE(Set("chained", Noise(300'000, 1)) == StoreStatus::kStored);
  const auto may_rewrite = [&](std::string_view key) {
    bool may = false;
    Visit(key, [&](const Item& item) { may = item.is_rewritable(); });
    return may;
  };
  CHECK(may_rewrite("k"));
  CHECK_FALSE(may_rewrite("chained"));
  {
    const auto pinned = Pin("k");
    CHECK_FALSE(may_rewrite("k"));
  }
  CHECK(may_rewrite("k"));
}

TEST_CASE_METHOD(CacheFixture, "an item counts its pins", "[slab][cache]") {
  REQUIRE(Set("k", "abc") == StoreStatus::kStored);
  std::vector<ItemHandle> pins;
  for (int i = 1; i < kRefsMax; ++i) {
    pins.push_back(Pin("k").handle);
    REQUIRE(pins.back());
  }
  CHECK(Get("k") == "abc");
  CHECK(Set("k", "def") == StoreStatus::kStored);
  CHECK(used_chunks() == 2);
  while (!pins.empty()) {
    CHECK(used_chunks() == 2);
    pins.pop_back();
  }
  CHECK(used_chunks() == 1);
}

TEST_CASE_METHOD(CacheFixture, "an item takes any number of pins, and goes with the last",
                 "[slab][cache][pins]") {
  const std::string value = Noise(GENERATE(3U, 300'000U), 1);
  const auto order = GENERATE(as<std::string>{}, "first to last", "last to first", "at random");
  CAPTURE(value.size(), order);
  REQUIRE(Set("k", value) == StoreStatus::kStored);
  const std::uint64_t chunks = used_chunks();
  std::vector<Pinned> pins;
  for (int i = 0; i < 5000; ++i) {
    pins.push_back(Pin("k"));
    REQUIRE(pins.back().handle);
  }
  const auto may_rewrite = [&] {
    bool may = false;
    Visit("k", [&](const Item& item) { may = item.is_rewritable(); });
    return may;
  };
  CHECK_FALSE(may_rewrite());
  SECTION("the item was deleted") { CHECK(Delete("k")); }
  SECTION("the item was replaced") {
    CHECK(Set("k", "") == StoreStatus::kStored);
    CHECK(Delete("k"));
  }
  SECTION("the item was flushed") {
    cache().FlushAll();
    CHECK(Look("k") == Presence::kFlushed);
  }
  SECTION("the item was joined with another value") {
    CHECK(Append("k", "+") == StoreStatus::kStored);
    CHECK((Get("k") == value + "+"));
    CHECK(Delete("k"));
  }
  CHECK(items() == 0);
  // The first ones are counted in the header, the last ones are not; neither kind is freed alone.
  if (order == "last to first") std::ranges::reverse(pins);
  if (order == "at random") std::shuffle(pins.begin(), pins.end(), std::mt19937(1));
  for (Pinned& pinned : pins) {
    REQUIRE(used_chunks() == chunks);
    if (&pinned == &pins.front() || &pinned == &pins.back()) {
      CHECK((ReadAll(pinned.value) == value));
    }
    pinned.handle = ItemHandle();
  }
  CHECK(used_chunks() == 0);
}

TEST_CASE_METHOD(CacheFixture, "pins beyond those of the header come and go while it has others",
                 "[slab][cache][pins]") {
  REQUIRE(Set("k", "abc") == StoreStatus::kStored);
  std::vector<ItemHandle> pins;
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    const std::size_t wanted = 200 + random() % 120;  // Around what a header counts.
    while (pins.size() < wanted) pins.push_back(Pin("k").handle);
    std::shuffle(pins.begin(), pins.end(), random);
    pins.resize(200 + random() % 40);
  }
  CHECK(Delete("k"));
  CHECK(used_chunks() == 1);
  pins.clear();
  CHECK(used_chunks() == 0);
  CHECK(Set("k", "def") == StoreStatus::kStored);
  Visit("k", [&](const Item& item) { CHECK(item.is_rewritable()); });
}

TEST_CASE("a value with any number of pins is not evicted, nor does its page move",
          "[slab][cache][pins]") {
  CacheFixture cache({.memory_bytes = 2 * kMiB});
  const std::string value = Noise(GENERATE(1000U, 100'000U, 300'000U), 1);
  REQUIRE(cache.Set("k", value) == StoreStatus::kStored);
  {
    std::vector<CacheFixture::Pinned> pins;
    for (int i = 0; i < 1000; ++i) pins.push_back(cache.Pin("k"));
    pins.erase(pins.begin(), pins.begin() + 300);  // All that the header counts.
    cache.Fill(value.size());
    cache.Fill(5000, 1);
    CHECK(cache.evicted() > 0);
    CHECK((cache.Get("k") == value));
    CHECK((ReadAll(pins.back().value) == value));
  }
  cache.Fill(value.size());
  CHECK(cache.Look("k") == Presence::kMiss);
  cache.cache().CheckInvariants();
}

TEST_CASE_METHOD(CacheFixture, "a handle unpins once, wherever it was moved", "[slab][cache]") {
  REQUIRE(Set("a", "1") == StoreStatus::kStored);
  REQUIRE(Set("b", "2") == StoreStatus::kStored);
  ItemHandle first = Pin("a").handle;
  ItemHandle second = Pin("b").handle;
  CHECK(Delete("a"));
  CHECK(Delete("b"));
  CHECK(used_chunks() == 2);
  first = std::move(second);  // Lets go of a.
  CHECK(used_chunks() == 1);
  CHECK_FALSE(second);
  CHECK(first);
  ItemHandle third(std::move(first));
  CHECK(used_chunks() == 1);
  third = ItemHandle();
  CHECK(used_chunks() == 0);
}

// --- Values in several chunks ------------------------------------------------------------------

TEST_CASE_METHOD(CacheFixture, "values round trip at every size around the limits of chunks",
                 "[slab][cache]") {
  const auto [key_bytes, flags] = GENERATE(std::pair{1U, 0U}, std::pair{250U, 3U});
  const std::string key(key_bytes, 'k');
  CAPTURE(key_bytes);
  const std::string noise = Noise(kMiB + 64, 1);
  const std::size_t overhead = Item::OverheadBytes(key.size(), {.has_flags = flags != 0});
  const std::size_t chunk_bytes_max = cache().engine().classes.ladder().chunk_bytes_max();
  std::set<std::size_t> sizes;
  const auto add_around = [&](std::size_t bytes) {
    for (std::size_t size = bytes - 2; size <= bytes + 2; ++size) {
      if (size + overhead <= kMiB) sizes.insert(size);
    }
  };
  add_around(chunk_bytes_max - overhead);  // The last that fits one chunk.
  std::size_t end = chunk_bytes_max - overhead - Item::kChainBytes;
  for (; end < kMiB; end += chunk_bytes_max - sizeof(Item)) add_around(end);  // Full pieces.
  add_around(kMiB - overhead);

  for (const std::size_t size : sizes) {
    CAPTURE(size);
    const std::string_view value = std::string_view(noise).substr(size % 61, size);
    REQUIRE(Store({.key = key, .value = value, .flags = flags}) == StoreStatus::kStored);
    const auto seen = See(key);
    REQUIRE(seen);
    REQUIRE((seen->value == value));  // In brackets: a megabyte need not be printed.
    REQUIRE(seen->client_flags == flags);
  }
  cache().CheckInvariants();
  CHECK(Delete(key));
  CHECK(used_chunks() == 0);
}

TEST_CASE("an item limit of many megabytes is kept", "[slab][cache]") {
  CacheFixture cache({.memory_bytes = 8 * kMiB, .item_bytes_max = 3U << 20});
  const std::string value = Noise((3U << 20) - Item::OverheadBytes(1), 1);
  for (int i = 0; i < 3; ++i) {
    REQUIRE(cache.Set(std::to_string(i), value) == StoreStatus::kStored);
    REQUIRE((cache.Get(std::to_string(i)) == value));
  }
  cache.cache().CheckInvariants();
}

// --- Statistics --------------------------------------------------------------------------------

TEST_CASE("gauges tell the items, their bytes and sizes", "[slab][cache]") {
  CacheFixture cache({.track_sizes = true});
  REQUIRE(cache.Store({.key = "ab", .value = "xyz", .flags = 1}) == StoreStatus::kStored);
  REQUIRE(cache.Set("large", Noise(1000, 1)) == StoreStatus::kStored);
  const std::uint64_t small_bytes = sizeof(Item) + 2 + 4 + 3;
  const std::uint64_t large_bytes = sizeof(Item) + 5 + 1000;
  CHECK(cache.items() == 2);
  CHECK(cache.bytes() == small_bytes + large_bytes);
  CHECK(cache.lane().total_items.value() == 2);
  const ClassId small_class = cache.See("ab")->class_id;
  CHECK(cache.lane().classes[small_class].value(ClassStat::kRequestedBytes) == small_bytes);
  CHECK(cache.lane().sizes[2].value() == 1);   // 33 to 64 bytes.
  CHECK(cache.lane().sizes[33].value() == 1);  // 1025 to 1056.

  cache.Use(cache.NewLane());  // Another worker's gauge may wrap; the sum is right.
  CHECK(cache.Delete("large"));
  REQUIRE(cache.Set("ab", "") == StoreStatus::kStored);
  CHECK(cache.items() == 1);
  CHECK(cache.bytes() == sizeof(Item) + 2);
}

TEST_CASE_METHOD(CacheFixture, "a snapshot tells what a class holds", "[slab][cache]") {
  REQUIRE(Set("k1", "v") == StoreStatus::kStored);
  REQUIRE(Set("k2", "v") == StoreStatus::kStored);
  lane().now_s += 5;
  const ClassSnapshot snapshot = Class(See("k1")->class_id);
  CHECK(snapshot.chunk_bytes == 40);
  CHECK(snapshot.chunks_per_page == kPageBytes / 40);
  CHECK(snapshot.pages == 1);
  CHECK(snapshot.items() == 2);
  CHECK(snapshot.used_chunks == 2);
  CHECK(snapshot.probation_age_s == 5);
}

TEST_CASE("ages are not negative when the clocks of lanes differ", "[slab][cache]") {
  CacheFixture cache({.memory_bytes = kPageBytes});
  Lane& slow = cache.NewLane();
  cache.lane().now_s += 1;
  const std::string value = Noise(900, 1);
  for (int i = 0; i < 200; ++i) (void)cache.Set("k" + std::to_string(i), value);
  cache.Use(slow);
  const ClassId class_id = cache.See("k100")->class_id;
  CHECK(cache.Class(class_id).probation_age_s == 0);
  for (int i = 200; i < 400; ++i) (void)cache.Set("k" + std::to_string(i), value);
  CHECK(cache.evicted() > 0);
  CHECK(cache.Class(class_id).stats.evicted_age_s == 0);
  cache.cache().census().ResetClassStats();
  CHECK(cache.evicted() == 0);
}

TEST_CASE_METHOD(CacheFixture, "the keys of a class come newest first, up to a limit",
                 "[slab][cache]") {
  for (const char* key : {"a", "b", "c"}) REQUIRE(Set(key, "v") == StoreStatus::kStored);
  const ClassId class_id = See("a")->class_id;
  CHECK(KeysOf(cache(), lane(), class_id, 0) == std::vector<std::string>{"c", "b", "a"});
  CHECK(KeysOf(cache(), lane(), class_id, 2) == std::vector<std::string>{"c", "b"});
  CHECK(KeysOf(cache(), lane(), 0, 0).empty());
  CHECK(KeysOf(cache(), lane(), 255, 0).empty());
}

TEST_CASE_METHOD(CacheFixture, "a walk over a class goes on behind what left it meanwhile",
                 "[slab][cache]") {
  for (int i = 0; i < 200; ++i) REQUIRE(Set("k" + std::to_string(i), "v") == StoreStatus::kStored);
  const ClassId class_id = See("k0")->class_id;
  QueueWalk walk{.class_id = class_id};
  std::array<ItemSnapshot, 10> items;
  REQUIRE(cache().walker().SnapshotQueue(walk, lane(), items) == 10);
  CHECK(items[9].key() == "k190");
  CHECK(items[9].value_bytes == 1);
  for (const char* key : {"k190", "k192"}) REQUIRE(Delete(key));
  REQUIRE(cache().walker().SnapshotQueue(walk, lane(), items) == 10);
  CHECK(items[0].key() == "k189");
  CHECK(items[9].key() == "k180");
  // Where all are gone that were met last, it ends.
  for (int i = 180; i < 190; ++i) REQUIRE(Delete("k" + std::to_string(i)));
  CHECK(cache().walker().SnapshotQueue(walk, lane(), items) == 0);
  CHECK(walk.is_at_end);
}

TEST_CASE("removals by a lane that stores nothing are told to the index", "[slab][cache]") {
  // Else the table would grow for items that are long gone.
  CacheFixture cache({.memory_bytes = 4 * kMiB});
  Lane& first = cache.lane();
  Lane& keeper = cache.NewLane();
  for (int round = 0; round < 5; ++round) {
    cache.Use(first);
    REQUIRE(cache.cache().SetMemoryLimit(4 * kMiB));
    for (int i = 0; i < 10'000; ++i) (void)cache.Set(std::to_string(i), "v");
    REQUIRE(cache.cache().SetMemoryLimit(kPageBytes));
    cache.cache().Maintain(keeper);
  }
  CHECK(cache.cache().index().bucket_count() == 4096);
}

TEST_CASE_METHOD(CacheFixture, "prefetching changes nothing, present or absent", "[slab][cache]") {
  const int items_max = 30'000;  // Some lie in overflow buckets.
  std::vector<std::uint64_t> hashes;
  for (int i = 0; i < items_max; ++i) {
    const std::string key = std::to_string(i);
    if (i % 2 == 0) REQUIRE(Set(key, key) == StoreStatus::kStored);
    hashes.push_back(cache().Hash(key));
    cache().PrefetchBucket(hashes.back());
    if (hashes.size() < kPrefetchMax && i + 1 < items_max) continue;
    cache().PrefetchItems(hashes);
    hashes.clear();
  }
  CHECK(items() == items_max / 2);
  CHECK(Get("0") == "0");
  CHECK(Look("1") == Presence::kMiss);
  cache().CheckInvariants();
}

TEST_CASE("chunk sizes follow the options", "[slab][cache]") {
  CacheFixture cache({.chunk_room_min = 48, .growth_factor = 2.0});
  CHECK(cache.cache().engine().classes.ladder().chunk_bytes(1) == 72);
  CHECK(cache.cache().engine().classes.ladder().chunk_bytes(2) == 144);
  CHECK(cache.Set("k", Noise(200'000, 1)) == StoreStatus::kStored);
  CHECK((cache.Get("k") == Noise(200'000, 1)));
}

TEST_CASE("a cache of many gigabytes uses a larger unit", "[slab][cache]") {
  CacheFixture cache({.memory_bytes = std::uint64_t{100} << 30});
  CHECK(cache.cache().arena().unit_bytes() == 32);
  for (int i = 0; i < 60; ++i) {
    const std::string value = Noise(static_cast<std::size_t>(i) * 3500, 1);
    REQUIRE(cache.Set(std::to_string(i), value) == StoreStatus::kStored);
    REQUIRE((cache.Get(std::to_string(i)) == value));
  }
  cache.cache().CheckInvariants();
}

}  // namespace
}  // namespace larder::slab
