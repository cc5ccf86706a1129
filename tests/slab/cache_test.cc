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

TEST_CASE_METHOD(CacheFixture, "append and prepend with a CAS join only the version it names",
                 "[slab][cache]") {
  const StoreMode mode = GENERATE(StoreMode::kAppend, StoreMode::kPrepend);
  const auto store = GENERATE(&CacheFixture::Store, &CacheFixture::ReserveAndPublish);
  CHECK((this->*store)({.mode = mode, .key = "k", .value = "y", .cas = 1}) ==
        StoreStatus::kNotStored);
  REQUIRE(Set("k", "x") == StoreStatus::kStored);
  const std::uint64_t first = See("k")->cas;
  CHECK((this->*store)({.mode = mode, .key = "k", .value = "y", .cas = first + 1}) ==
        StoreStatus::kExists);
  CHECK(Get("k") == "x");
  CHECK((this->*store)({.mode = mode, .key = "k", .value = "y", .cas = first}) ==
        StoreStatus::kStored);
  CHECK(Get("k") == (mode == StoreMode::kAppend ? "xy" : "yx"));
  CHECK((this->*store)({.mode = mode, .key = "k", .value = "z", .cas = first}) ==
        StoreStatus::kExists);
  CHECK((this->*store)({.mode = mode, .key = "k", .value = "z"}) == StoreStatus::kStored);
}

constexpr std::uint64_t kWideCas = 0xfedc'ba98'7654'3210;

TEST_CASE_METHOD(CacheFixture, "a chosen CAS of 64 bits is shown and compared",
                 "[slab][cache][chosen]") {
  const std::size_t value_bytes =
      GENERATE(std::size_t{0}, std::size_t{5}, std::size_t{130'000}, std::size_t{130'982},
               std::size_t{130'990}, std::size_t{131'000}, std::size_t{500'000});
  CAPTURE(value_bytes);
  const std::string value = Noise(value_bytes, 1);
  CHECK(PublishChosen("k", value, {}, kWideCas).cas == kWideCas);
  CHECK(See("k")->cas == kWideCas);
  CHECK((Get("k") == value));
  CHECK(Cas("k", "x", kWideCas & Item::kNumberMask) == StoreStatus::kExists);
  CHECK(DeleteIfUnchanged("k", kWideCas - 1).status == DeleteStatus::kExists);
  SECTION("a store without one replaces it") {
    CHECK(Cas("k", value, kWideCas) == StoreStatus::kStored);
    CHECK(See("k")->cas < kWideCas);
  }
  SECTION("append takes one, too") {
    const StoreOutcome joined =
        PublishChosen("k", "+", {.mode = StoreMode::kAppend, .cas_unique = kWideCas}, 7);
    CHECK(joined.status == StoreStatus::kStored);
    CHECK(joined.joined_bytes == value_bytes + 1);
    CHECK(See("k")->cas == 7);
    CHECK((Get("k") == value + "+"));
  }
  SECTION("append without one replaces it") {
    CHECK(Append("k", "+") == StoreStatus::kStored);
    CHECK(See("k")->cas < kWideCas);
  }
  SECTION("a small one does not make the item look flushed, nor a large one unflushable") {
    cache().FlushAll();
    CHECK(Look("k") == Presence::kFlushed);
    CHECK(PublishChosen("k", value, {}, 0).status == StoreStatus::kStored);
    CHECK(See("k")->cas == 0);
  }
  SECTION("delete compares it") {
    CHECK(DeleteIfUnchanged("k", kWideCas).status == DeleteStatus::kDeleted);
    CHECK(used_chunks() == 0);
  }
  cache().CheckInvariants();
}

TEST_CASE_METHOD(CacheFixture, "an item gets a CAS that a client chose where it lies, or moves",
                 "[slab][cache][chosen]") {
  // Of lengths that fill a chunk to every degree.
  const std::size_t base = GENERATE(std::size_t{20}, std::size_t{130'990}, std::size_t{300'000});
  CAPTURE(base);
  bool has_moved = false;
  for (std::size_t value_bytes = base; value_bytes < base + 60; ++value_bytes) {
    const std::string value = Noise(value_bytes, value_bytes);
    REQUIRE(Store({.key = "k", .value = value, .flags = 3, .expires_at_s = kSoonS}) ==
            StoreStatus::kStored);
    const std::uint64_t cas = See("k")->cas;
    CHECK(Hit("k"));
    bool is_chosen = false;
    const auto choose = [&](Item& item) {
      is_chosen = cache().ChooseCas(item, kWideCas, lane());
      if (!is_chosen) item.size_and_state |= Item::kIsStale;
    };
    Visit("k", choose);
    CAPTURE(value_bytes);
    if (!is_chosen) {
      has_moved = true;
      REQUIRE(cache().AddRoom(Room::kChosenCas, Key("k"), lane()));
      CHECK(See("k")->cas == cas);
      Visit("k", [&](Item& item) {
        CHECK(item.is_stale());
        CHECK(item.was_fetched());
      });
      Visit("k", choose);
    }
    REQUIRE(is_chosen);
    const auto seen = See("k");
    REQUIRE((seen->value == value));
    CHECK(seen->cas == kWideCas);
    CHECK(seen->client_flags == 3);
    CHECK(seen->expires_at_s == kSoonS);
    Visit("k", [&](Item& item) { item.set_cas(cache().NextCas(lane())); });
    CHECK(See("k")->cas < kWideCas);
    CHECK(See("k")->cas > cas);
  }
  CHECK(has_moved);
  CHECK_FALSE(cache().AddRoom(Room::kChosenCas, Key("missing"), lane()));
  CHECK(Delete("k"));
  CHECK(bytes() == 0);
  CHECK(used_chunks() == 0);
  cache().CheckInvariants();
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

TEST_CASE_METHOD(CacheFixture, "append and prepend may create what is not there", "[slab][cache]") {
  const StoreMode mode = GENERATE(StoreMode::kAppend, StoreMode::kPrepend);
  const PublishTerms terms{.mode = mode, .cas_unique = 5, .creates = true};
  const StoreOutcome created = PublishChosen("k", "one", terms, 9);
  CHECK(created.status == StoreStatus::kStored);
  CHECK(created.joined_bytes == 3);
  CHECK(created.cas == 9);
  CHECK(PublishChosen("k", "two", terms, 9).status == StoreStatus::kExists);
  CHECK(Get("k") == "one");
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

TEST_CASE_METHOD(CacheFixture, "append and prepend join values and keep flags and expiry",
                 "[slab][cache]") {
  CHECK(Append("k", "x") == StoreStatus::kNotStored);
  CHECK(Prepend("k", "x") == StoreStatus::kNotStored);
  CHECK(Store({.key = "k", .value = "b", .flags = 5, .expires_at_s = kSoonS}) ==
        StoreStatus::kStored);
  const std::uint64_t cas = See("k")->cas;
  CHECK(Store({.mode = StoreMode::kAppend, .key = "k", .value = "c", .flags = 9}) ==
        StoreStatus::kStored);
  CHECK(Store({.mode = StoreMode::kPrepend, .key = "k", .value = "a", .expires_at_s = 1}) ==
        StoreStatus::kStored);
  const auto seen = See("k");
  REQUIRE(seen);
  CHECK(seen->value == "abc");
  CHECK(seen->client_flags == 5);
  CHECK(seen->expires_at_s == kSoonS);
  CHECK(seen->cas != cas);
  CHECK(Append("k", "") == StoreStatus::kStored);
  CHECK(Get("k") == "abc");
  CHECK(used_chunks() == 1);
}

TEST_CASE_METHOD(CacheFixture, "appends grow a value from one chunk to many", "[slab][cache]") {
  const auto mode = GENERATE(StoreMode::kAppend, StoreMode::kPrepend);
  std::string expected = "start";
  REQUIRE(Set("k", expected) == StoreStatus::kStored);
  for (std::uint64_t step = 1; expected.size() < 600'000; ++step) {
    const std::string more = Noise(expected.size() / 3 + 1, step);
    REQUIRE(Store({.mode = mode, .key = "k", .value = more}) == StoreStatus::kStored);
    expected = mode == StoreMode::kAppend ? expected + more : more + expected;
    REQUIRE((Get("k") == expected));
    REQUIRE(items() == 1);
  }
  cache().CheckInvariants();
}

TEST_CASE_METHOD(CacheFixture, "an append past the item limit is refused and the old value stays",
                 "[slab][cache]") {
  const std::string old = Noise(kMiB - 1000, 1);
  REQUIRE(Set("k", old) == StoreStatus::kStored);
  CHECK(Append("k", Noise(1000, 2)) == StoreStatus::kNotStored);
  CHECK(Prepend("k", Noise(1000, 2)) == StoreStatus::kNotStored);
  CHECK((Get("k") == old));
  const std::size_t rest = kMiB - Item::OverheadBytes(1) - old.size();
  CHECK(Append("k", Noise(rest + 1, 2)) == StoreStatus::kNotStored);
  CHECK(Append("k", Noise(rest, 2)) == StoreStatus::kStored);
  CHECK((Get("k") == old + Noise(rest, 2)));
}

TEST_CASE_METHOD(CacheFixture, "an item over the limit is too large", "[slab][cache]") {
  const std::size_t bytes_max = kMiB - Item::OverheadBytes(1);
  const std::string largest = Noise(bytes_max, 1);
  const std::string too_large = Noise(bytes_max + 1, 1);
  CHECK(cache().Fits(Spec("k", bytes_max)));
  CHECK_FALSE(cache().Fits(Spec("k", bytes_max + 1)));
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
  CHECK(stored.class_id == cache().ladder().ClassFor(Item::OverheadBytes(1) + 3));
  CHECK(stored.class_id == See("k")->class_id);
  const auto refused =
      StoreWithClass({.mode = StoreMode::kCas, .key = "k", .value = Noise(3000, 1), .cas = ~0ULL});
  CHECK(refused.status == StoreStatus::kExists);
  CHECK(refused.class_id == stored.class_id);
  const auto large = StoreWithClass({.key = "k", .value = Noise(500'000, 1)});
  CHECK(large.class_id == cache().ladder().largest());
  CHECK(cache().Delete(Key("k"), lane()) == cache().ladder().largest());
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
  const auto outcome = cache().Publish(std::move(*reserved), StoreMode::kSet, 0, lane());
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
  cache().Publish(std::move(*reserved), StoreMode::kSet, 0, lane());
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
    Visit(key, [&](const Item& item) { may = Cache::MayRewrite(item); });
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

TEST_CASE_METHOD(CacheFixture, "an item counts its pins, and refuses one too many",
                 "[slab][cache]") {
  REQUIRE(Set("k", "abc") == StoreStatus::kStored);
  std::vector<ItemHandle> pins;
  for (int i = 1; i < kRefsMax; ++i) {
    pins.push_back(Pin("k").handle);
    REQUIRE(pins.back());
  }
  CHECK_FALSE(Pin("k").handle);
  CHECK(Get("k") == "abc");
  CHECK(Set("k", "def") == StoreStatus::kStored);
  CHECK(used_chunks() == 2);
  while (!pins.empty()) {
    CHECK(used_chunks() == 2);
    pins.pop_back();
  }
  CHECK(used_chunks() == 1);
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

// --- The first expiry ----------------------------------------------------------------------------

TEST_CASE_METHOD(CacheFixture, "an item gets its first expiry, and moves for the room",
                 "[slab][cache][expiry]") {
  const std::size_t base = GENERATE(std::size_t{20}, std::size_t{130'990}, std::size_t{300'000});
  const auto chosen_cas = GENERATE(as<std::optional<std::uint64_t>>{}, std::nullopt, kWideCas);
  CAPTURE(base, chosen_cas.has_value());
  for (std::size_t value_bytes = base; value_bytes < base + 60; ++value_bytes) {
    CAPTURE(value_bytes);
    const std::string value = Noise(value_bytes, value_bytes);
    REQUIRE(PublishChosen("k", value, {}, chosen_cas).status == StoreStatus::kStored);
    CHECK(Hit("k"));
    const std::uint64_t cas = See("k")->cas;
    const std::uint64_t stores = lane().total_items.value();
    const std::uint64_t bytes_before = bytes();
    CHECK(Touch("k", 0) == Presence::kHit);
    CHECK(bytes() == bytes_before);
    CHECK(Touch("k", kSoonS) == Presence::kHit);
    CHECK(bytes() == bytes_before + 4);
    CHECK(lane().total_items.value() == stores);
    const auto seen = See("k");
    REQUIRE((seen->value == value));
    CHECK(seen->expires_at_s == kSoonS);
    CHECK(seen->cas == cas);
    Visit("k", [](Item& item) { CHECK(item.was_fetched()); });
    // The room stays.
    CHECK(Touch("k", 0) == Presence::kHit);
    CHECK(See("k")->expires_at_s == 0);
    CHECK(Touch("k", kSoonS) == Presence::kHit);
    CHECK(bytes() == bytes_before + 4);
  }
  cache().CheckInvariants();
  lane().now_s = kSoonS;
  CHECK(Look("k") == Presence::kExpired);
  CHECK(bytes() == 0);
  CHECK(used_chunks() == 0);
}

TEST_CASE("without memory for its first expiry an item stays, and the touch misses",
          "[slab][cache][expiry]") {
  CacheFixture cache({.memory_bytes = kPageBytes, .evict = false});
  int count = 0;
  while (cache.Set(std::to_string(count), "value") == StoreStatus::kStored) ++count;
  CHECK(cache.Touch("0", kSoonS) == Presence::kMiss);
  CHECK(cache.Get("0") == "value");
  CHECK(cache.Touch("0", 0) == Presence::kHit);
  CHECK(cache.items() == static_cast<std::uint64_t>(count));
  cache.cache().CheckInvariants();
}

// --- Values in several chunks ------------------------------------------------------------------

TEST_CASE_METHOD(CacheFixture, "values round trip at every size around the limits of chunks",
                 "[slab][cache]") {
  const auto [key_bytes, flags] = GENERATE(std::pair{1U, 0U}, std::pair{250U, 3U});
  const std::string key(key_bytes, 'k');
  CAPTURE(key_bytes);
  const std::string noise = Noise(kMiB + 64, 1);
  const std::size_t overhead = Item::OverheadBytes(key.size(), flags != 0);
  const std::size_t chunk_bytes_max = cache().ladder().chunk_bytes_max();
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

// --- Full memory -------------------------------------------------------------------------------

TEST_CASE("any size can be stored when memory is full of another", "[slab][cache]") {
  const std::uint64_t memory_bytes = kMiB * GENERATE(2U, 4U);
  const std::size_t filled_with = GENERATE(200U, 250'000U);
  CAPTURE(memory_bytes, filled_with);
  CacheFixture cache({.memory_bytes = memory_bytes});
  cache.Fill(filled_with, 1);
  const std::string noise = Noise(kMiB, 1);
  const std::size_t bytes_max = kMiB - Item::OverheadBytes(3);
  for (std::size_t size = 1; size < bytes_max; size += 1 + size / 5) {
    CAPTURE(size);
    const std::string_view value = std::string_view(noise).substr(size % 13, size);
    REQUIRE(cache.Set("key", value) == StoreStatus::kStored);
    REQUIRE((cache.Get("key") == value));
  }
  REQUIRE(cache.Set("key", std::string_view(noise).substr(0, bytes_max)) == StoreStatus::kStored);
  CHECK(cache.cache().arena().pages_in_use() <= memory_bytes / kPageBytes);
  cache.cache().CheckInvariants();
}

TEST_CASE("every size stores and reads back while memory is full", "[slab][cache][property]") {
  const unsigned seed = GENERATE(1U, 2U);
  CAPTURE(seed);
  CacheFixture cache({.memory_bytes = 3 * kMiB});
  std::mt19937_64 random(seed);
  const std::string noise = Noise(kMiB, seed);
  const std::size_t bytes_max = kMiB - Item::OverheadBytes(7);
  for (int turn = 0; turn < Turns(2000); ++turn) {
    // As many of 10-20 bytes as of 100-200 kB.
    const double fraction = static_cast<double>(random() % 10'000) / 10'000;
    const auto size = static_cast<std::size_t>(std::pow(bytes_max, fraction));
    CAPTURE(turn, size);
    const std::string_view value = std::string_view(noise).substr(size % 13, size);
    const std::string key = std::to_string(1'000'000 + random() % 1000);
    REQUIRE(cache.Set(key, value) == StoreStatus::kStored);
    REQUIRE((cache.Get(key) == value));
  }
  CHECK(cache.evicted() > 0);
  cache.cache().CheckInvariants();
}

TEST_CASE("the item that was not used for longest goes first", "[slab][cache]") {
  CacheFixture cache({.memory_bytes = kPageBytes});
  const int chunks = kPageBytes / 1000;
  const std::string value = Noise(900, 1);
  for (int i = 0; i < 100; ++i)
    REQUIRE(cache.Set("k" + std::to_string(i), value) == StoreStatus::kStored);
  constexpr int kOld = 75;  // Hits of the youngest quarter do not count.
  for (int i = 0; i < kOld; i += 10) REQUIRE(cache.Hit("k" + std::to_string(i)));
  for (int i = 0; i < chunks; ++i) (void)cache.Set("new" + std::to_string(i), value);
  int survivors = 0;
  for (int i = 0; i < 100; ++i) {
    const bool survived = cache.Look("k" + std::to_string(i)) == Presence::kHit;
    if (i % 10 == 0 && i < kOld) CHECK(survived);
    survivors += survived ? 1 : 0;
  }
  CHECK(survivors < 50);
  CHECK(cache.Class(cache.See("k0")->class_id).stats.evicted_unfetched == cache.evicted());
}

TEST_CASE("a store may evict from the very bucket that it holds", "[slab][cache][property]") {
  CacheFixture cache({.memory_bytes = 2 * kPageBytes});
  std::vector<std::string> keys;  // All in one bucket, which is a chain.
  for (int i = 0; keys.size() < 40; ++i) {
    const std::string key = std::to_string(i);
    if (cache.cache().Hash(key) % 4096 == 7) keys.push_back(key);
  }
  std::mt19937 random(1);
  std::map<std::string, std::string> last;
  std::vector<CacheFixture::Pinned> pins;
  for (int turn = 0; turn < Turns(5000); ++turn) {
    const std::string& key = keys[random() % keys.size()];
    // A pinned item is not overwritten in place: its replacement takes a chunk, from another item.
    if (random() % 2 == 0) pins.push_back(cache.Pin(key));
    if (pins.size() > 3) pins.erase(pins.begin());
    const std::string value = Noise(9000 + random() % 20, random());
    REQUIRE(cache.Set(key, value) == StoreStatus::kStored);
    last[key] = value;
    REQUIRE((cache.Get(key) == value));
    const std::string& other = keys[random() % keys.size()];
    const auto seen = cache.Get(other);
    REQUIRE((!seen || seen == last[other]));
  }
  pins.clear();
  CHECK(cache.evicted() > 50);
  cache.cache().CheckInvariants();
}

// A key that sits in main, having been hit on probation.
void PromoteToMain(CacheFixture& cache, const std::string& key) {
  REQUIRE(cache.Set(key, Noise(900, 1)) == StoreStatus::kStored);
  for (int i = 0; i < 150; ++i) (void)cache.Set("before" + std::to_string(i), Noise(900, 1));
  REQUIRE(cache.Hit(key));
  for (int i = 0; i < 1000; ++i) (void)cache.Set("behind" + std::to_string(i), Noise(900, 1));
  REQUIRE(cache.Class(cache.See(key)->class_id).main_items >= 1);
}

Segment SegmentOf(CacheFixture& cache, const std::string& key) {
  Segment segment = Segment::kProbation;
  REQUIRE(cache.Visit(key, [&](Item& item) { segment = item.standing().segment(); }) ==
          Presence::kHit);
  return segment;
}

TEST_CASE("an item that is overwritten stays where it is", "[slab][cache][eviction]") {
  CacheFixture cache({.memory_bytes = kPageBytes * 4, .item_bytes_max = kPageBytes});
  PromoteToMain(cache, "k");
  CHECK(SegmentOf(cache, "k") == Segment::kMain);
  CHECK(cache.Set("k", Noise(901, 2)) == StoreStatus::kStored);  // In place.
  CHECK(SegmentOf(cache, "k") == Segment::kMain);
  {
    const auto pin = cache.Pin("k");
    CHECK(cache.Set("k", Noise(902, 3)) == StoreStatus::kStored);  // In a new chunk.
    CHECK(SegmentOf(cache, "k") == Segment::kMain);
  }
  CHECK(cache.ReserveAndPublish({.key = "k", .value = Noise(903, 4)}) == StoreStatus::kStored);
  CHECK(SegmentOf(cache, "k") == Segment::kMain);
  const ClassId before = cache.See("k")->class_id;
  CHECK(cache.Append("k", Noise(400, 5)) == StoreStatus::kStored);  // In another class.
  CHECK(cache.See("k")->class_id != before);
  CHECK(SegmentOf(cache, "k") == Segment::kMain);
  CHECK(cache.Set("k", Noise(900, 6)) == StoreStatus::kStored);
  CHECK(SegmentOf(cache, "k") == Segment::kMain);
  cache.cache().CheckInvariants();
}

TEST_CASE("an item that is deleted leaves no ghost, and one that expired neither",
          "[slab][cache][eviction]") {
  CacheFixture cache({.memory_bytes = kPageBytes, .item_bytes_max = kPageBytes / 2});
  REQUIRE(cache.Store({.key = "dies", .value = Noise(900, 1), .expires_at_s = kSoonS}) ==
          StoreStatus::kStored);
  REQUIRE(cache.Set("deleted", Noise(900, 1)) == StoreStatus::kStored);
  REQUIRE(cache.Set("evicted", Noise(900, 1)) == StoreStatus::kStored);
  REQUIRE(cache.Delete("deleted"));
  cache.lane().now_s = kSoonS;
  const std::uint64_t chunks = kPageBytes / 1000;
  for (std::uint64_t i = 0; i < chunks + 5; ++i)
    (void)cache.Set("k" + std::to_string(i), Noise(900, 1));
  for (const char* key : {"dies", "deleted", "evicted"}) {
    CAPTURE(key);
    REQUIRE_FALSE(cache.Get(key));
    REQUIRE(cache.Set(key, Noise(900, 1)) == StoreStatus::kStored);
    CHECK((SegmentOf(cache, key) == Segment::kMain) == (std::string_view(key) == "evicted"));
  }
}

TEST_CASE("under lru every use counts, and a store is one", "[slab][cache][eviction]") {
  CacheFixture cache({.memory_bytes = kPageBytes,
                      .item_bytes_max = kPageBytes / 2,
                      .eviction = EvictionPolicy::kLru});
  const auto key = [](int i) { return "k" + std::to_string(i); };
  int stored = 0;
  while (cache.evicted() == 0)
    REQUIRE(cache.Set(key(stored++), Noise(900, 1)) == StoreStatus::kStored);
  // k0 is gone.
  CHECK(cache.Hit(key(1)));
  CHECK(cache.Set(key(2), Noise(900, 2)) == StoreStatus::kStored);
  CHECK(cache.Look(key(3)) == Presence::kHit);  // No use.
  for (int i = 0; i < 3; ++i)
    REQUIRE(cache.Set(key(stored++), Noise(900, 1)) == StoreStatus::kStored);
  CHECK(cache.Get(key(1)));
  CHECK(cache.Get(key(2)));
  for (const int gone : {3, 4, 5}) CHECK_FALSE(cache.Get(key(gone)));
  CHECK(cache.Get(key(6)));
  cache.cache().CheckInvariants();
}

TEST_CASE("dead items count as reclaimed, not as evicted", "[slab][cache]") {
  CacheFixture cache({.memory_bytes = kPageBytes});
  const std::string value = Noise(900, 1);
  for (int i = 0; i < 200; ++i) {
    REQUIRE(cache.Store({.key = std::to_string(i), .value = value, .expires_at_s = kSoonS}) ==
            StoreStatus::kStored);
  }
  cache.lane().now_s = kSoonS;
  for (int i = 1000; i < 1200; ++i) {
    REQUIRE(cache.Set(std::to_string(i), value) == StoreStatus::kStored);
  }
  const ClassSnapshot snapshot = cache.Class(cache.See("1100")->class_id);
  CHECK(snapshot.stats.evicted == 0);
  CHECK(snapshot.stats.reclaimed > 0);
}

TEST_CASE("without eviction a full cache refuses, and set removes the old item", "[slab][cache]") {
  CacheFixture cache({.memory_bytes = kPageBytes, .evict = false});
  const std::string value = Noise(900, 1);
  int stored = 0;
  while (cache.Add(std::to_string(stored), value) == StoreStatus::kStored) ++stored;
  CHECK(stored > 200);
  CHECK(cache.Add("one more", value) == StoreStatus::kNoMemory);
  CHECK(cache.Set("one more", value) == StoreStatus::kNoMemory);
  CHECK(cache.Replace("1", Noise(5000, 1)) == StoreStatus::kNoMemory);
  CHECK(cache.Append("1", Noise(5000, 1)) == StoreStatus::kNoMemory);
  CHECK(cache.Append("1", Noise(800, 1)) == StoreStatus::kNoMemory);
  CHECK((cache.Get("1") == value));
  CHECK(cache.Set("1", Noise(900, 2)) == StoreStatus::kStored);  // In place.
  CHECK((cache.Get("1") == Noise(900, 2)));

  const std::string too_much = Noise(GENERATE(5000U, 300'000U), 1);
  CHECK(cache.Set("1", too_much) == StoreStatus::kNoMemory);
  CHECK(cache.Look("1") == Presence::kMiss);
  CHECK(cache.Set("one more", value) == StoreStatus::kStored);
  CHECK(cache.evicted() == 0);
  cache.cache().CheckInvariants();
}

TEST_CASE("without eviction, memory that deletes emptied serves any size", "[slab][cache]") {
  CacheFixture cache({.memory_bytes = 8 * kPageBytes, .evict = false});
  int stored = 0;
  while (cache.Add(std::to_string(stored), Noise(97, 1)) == StoreStatus::kStored) ++stored;
  REQUIRE(cache.Set("large", Noise(5000, 1)) == StoreStatus::kNoMemory);
  for (int i = 0; i < stored; ++i) REQUIRE(cache.Delete(std::to_string(i)));
  // One page stays with the class, for its next item.
  CHECK(cache.cache().arena().pages_in_use() == 1);
  CHECK(cache.Set("large", Noise(5000, 1)) == StoreStatus::kStored);
  cache.cache().CheckInvariants();
}

TEST_CASE("an item larger than all memory is refused and leaves no trace", "[slab][cache]") {
  CacheFixture cache({.memory_bytes = 2 * kPageBytes});
  REQUIRE(cache.Set("small", "v") == StoreStatus::kStored);
  CHECK(cache.Set("k", Noise(700'000, 1)) == StoreStatus::kNoMemory);
  CHECK(cache.Look("k") == Presence::kMiss);
  CHECK(cache.Set("small", "w") == StoreStatus::kStored);
  CHECK(cache.used_chunks() == 1);
  cache.cache().CheckInvariants();
}

// --- Pages and limits --------------------------------------------------------------------------

TEST_CASE("a lowered limit is enforced by Maintain and a raised one used at once",
          "[slab][cache]") {
  CacheFixture cache({.memory_bytes = 4 * kMiB});
  const std::size_t value_bytes = GENERATE(200U, 5000U, 400'000U);
  CAPTURE(value_bytes);
  cache.Fill(value_bytes, 1);
  const std::uint64_t full = cache.items();
  REQUIRE(cache.cache().SetMemoryLimit(kMiB));
  CHECK(cache.cache().memory_limit_bytes() == kMiB);
  cache.cache().Maintain(cache.lane());
  CHECK(cache.cache().arena().pages_in_use() <= kMiB / kPageBytes);
  cache.cache().CheckInvariants();
  CHECK(cache.items() <= full / 3);
  CHECK(cache.Set("k", "v") == StoreStatus::kStored);

  REQUIRE(cache.cache().SetMemoryLimit(6 * kMiB));
  cache.Fill(value_bytes, 1);
  CHECK(cache.items() > full);
  cache.cache().CheckInvariants();
}

TEST_CASE("stores go on between a lowered limit and its enforcement", "[slab][cache]") {
  CacheFixture cache({.memory_bytes = 8 * kMiB});
  cache.Fill(1000, 1);
  REQUIRE(cache.cache().SetMemoryLimit(2 * kMiB));
  cache.Fill(1000, 1);
  for (int i = 0; i < 100; ++i) {
    REQUIRE(cache.Set(std::to_string(i), Noise(1000, 2)) == StoreStatus::kStored);
  }
  cache.cache().Maintain(cache.lane());
  CHECK(cache.cache().arena().pages_in_use() <= 2 * kMiB / kPageBytes);
  cache.cache().CheckInvariants();
}

TEST_CASE_METHOD(CacheFixture, "a limit out of bounds is refused", "[slab][cache]") {
  CHECK_FALSE(cache().SetMemoryLimit(0));
  CHECK_FALSE(cache().SetMemoryLimit(std::uint64_t{1} << 50));
  CHECK(cache().memory_limit_bytes() == 64 * kMiB);
}

TEST_CASE("pinned items delay the enforcement of a limit, and do not prevent it", "[slab][cache]") {
  CacheFixture cache({.memory_bytes = 4 * kMiB});
  cache.Fill(900, 1);
  std::vector<CacheFixture::Pinned> pins;
  for (int i = 0; i < 4000; i += 50) {
    auto pinned = cache.Pin("fill" + std::to_string(i));
    if (pinned.handle) pins.push_back(std::move(pinned));
  }
  REQUIRE(pins.size() > 20);
  REQUIRE(cache.cache().SetMemoryLimit(2 * kMiB));
  cache.cache().Maintain(cache.lane());
  for (const auto& pinned : pins) CHECK((ReadAll(pinned.value) == Noise(900, 1)));
  pins.clear();
  cache.cache().Maintain(cache.lane());
  CHECK(cache.cache().arena().pages_in_use() <= 2 * kMiB / kPageBytes);
  cache.cache().CheckInvariants();
}

TEST_CASE("a page that held a reserved item leaves once it is published", "[slab][cache]") {
  CacheFixture cache({.memory_bytes = 2 * kMiB});
  std::vector<ReservedItem> reserved;
  for (const std::size_t value_bytes : {900U, 9000U, 90'000U}) {
    const std::string key = std::to_string(value_bytes);
    auto item = cache.cache().Reserve(cache.Spec(key, value_bytes), cache.lane());
    REQUIRE(item);
    WriteAll(Noise(value_bytes, 2), item->value());
    reserved.push_back(std::move(*item));
  }
  REQUIRE(cache.cache().SetMemoryLimit(kPageBytes));
  cache.cache().Maintain(cache.lane());
  CHECK(cache.cache().arena().pages_in_use() == 3);
  CHECK(cache.cache().pages_moved() == 0);
  for (ReservedItem& item : reserved) {
    cache.cache().Publish(std::move(item), StoreMode::kSet, 0, cache.lane());
  }
  CHECK((cache.Get("90000") == Noise(90'000, 2)));
  cache.cache().Maintain(cache.lane());
  CHECK(cache.cache().arena().pages_in_use() == 1);
  CHECK(cache.cache().pages_moved() == 2);
  cache.cache().CheckInvariants();
}

TEST_CASE("pages that cannot leave yet do not hide the others from who needs one",
          "[slab][cache]") {
  CacheFixture cache({.memory_bytes = 8 * kPageBytes});
  // Six pages with a pinned item each, then two pages of another class.
  std::vector<CacheFixture::Pinned> pins;
  const std::string large = Noise(100'000, 1);
  for (int i = 0; i < 12; ++i) {
    REQUIRE(cache.Set("large" + std::to_string(i), large) == StoreStatus::kStored);
    pins.push_back(cache.Pin("large" + std::to_string(i)));
  }
  const std::string medium = Noise(10'000, 1);
  for (int i = 0; i < 50; ++i) {
    REQUIRE(cache.Set("medium" + std::to_string(i), medium) == StoreStatus::kStored);
  }
  REQUIRE(cache.cache().arena().pages_in_use() == 8);
  CHECK(cache.Set("small", "v") == StoreStatus::kStored);
  for (const auto& pinned : pins) CHECK((ReadAll(pinned.value) == large));
}

TEST_CASE("a large item is made room for without giving up pages of its own", "[slab][cache]") {
  // The last piece needs a page of another class, when the item's other pieces lie in most pages.
  CacheFixture cache({.memory_bytes = 8 * kPageBytes});
  for (int round = 0; round < 10; ++round) {
    const std::string large = Noise(kMiB - 100 - static_cast<std::size_t>(round) * 18'000, 1);
    REQUIRE(cache.Set("large" + std::to_string(round % 2), large) == StoreStatus::kStored);
    REQUIRE((cache.Get("large" + std::to_string(round % 2)) == large));
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
  cache.cache().ResetClassStats();
  CHECK(cache.evicted() == 0);
}

TEST_CASE_METHOD(CacheFixture, "the keys of a class come newest first, up to a limit",
                 "[slab][cache]") {
  for (const char* key : {"a", "b", "c"}) REQUIRE(Set(key, "v") == StoreStatus::kStored);
  const ClassId class_id = See("a")->class_id;
  CHECK(cache().Keys(class_id, 0) == std::vector<std::string>{"c", "b", "a"});
  CHECK(cache().Keys(class_id, 2) == std::vector<std::string>{"c", "b"});
  CHECK(cache().Keys(0, 0).empty());
  CHECK(cache().Keys(255, 0).empty());
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
  CHECK(cache.cache().ladder().chunk_bytes(1) == 72);
  CHECK(cache.cache().ladder().chunk_bytes(2) == 144);
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
