#include "slab/cache.h"

#include <catch2/catch.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "tests/mebibyte.h"
#include "tests/slab/cache_fixture.h"

namespace larder::slab {
namespace {

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
    Visit("k", [&](Item& item) { item.size_and_state |= Item::kWinTokenSent; });
    CHECK(publish(99) == StoreStatus::kStored);
    CHECK(is_stale());
    CHECK(See("k")->expires_at_s == kSoonS);
    Visit("k", [&](Item& item) { CHECK(item.is_win_token_sent()); });
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

}  // namespace
}  // namespace larder::slab
