// Items that outgrow their chunk: by what is joined to them, a CAS that a client chose, or an
// expiry.
#include <catch2/catch.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/mebibyte.h"
#include "tests/race_steps.h"
#include "tests/slab/cache_fixture.h"

namespace larder::slab {
namespace {

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
      REQUIRE(cache().AddRoom(Room::kChosenCas, Key("k"), lane()) == RoomStatus::kMade);
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
  CHECK(cache().AddRoom(Room::kChosenCas, Key("missing"), lane()) == RoomStatus::kMiss);
  CHECK(Delete("k"));
  CHECK(bytes() == 0);
  CHECK(used_chunks() == 0);
  cache().CheckInvariants();
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

TEST_CASE("without eviction an item gets its first expiry in the chunk that it has",
          "[slab][cache][expiry]") {
  CacheFixture cache({.memory_bytes = 8 * kPageBytes, .evict = false});
  const std::string value = Noise(GENERATE(5U, 9000U, 300'000U), 1);
  const auto store = GENERATE(&CacheFixture::Set, &CacheFixture::Add);
  int count = 0;
  while ((cache.*store)(std::to_string(count), value) == StoreStatus::kStored) ++count;
  REQUIRE(count > 0);
  const std::uint64_t bytes = cache.bytes();
  for (int i = 0; i < count; ++i) {
    REQUIRE(cache.Touch(std::to_string(i), kSoonS) == Presence::kHit);
    REQUIRE(cache.See(std::to_string(i))->expires_at_s == kSoonS);
  }
  CHECK(cache.bytes() == bytes);
  CHECK((cache.Get("0") == value));
  CHECK(cache.items() == static_cast<std::uint64_t>(count));
  cache.cache().CheckInvariants();
}

TEST_CASE("the room that an item keeps for an expiry does not count for the item limit",
          "[slab][cache][expiry]") {
  const bool evicts = GENERATE(true, false);
  const std::uint32_t item_bytes_max = GENERATE(1024U, static_cast<std::uint32_t>(kMiB));
  CAPTURE(evicts, item_bytes_max);
  CacheFixture cache({.item_bytes_max = item_bytes_max, .evict = evicts, .track_sizes = true});
  const std::string value = Noise(item_bytes_max - Item::OverheadBytes(1), 1);
  CHECK(cache.Set("k", value + "+") == StoreStatus::kTooLarge);
  REQUIRE(cache.Set("k", value) == StoreStatus::kStored);
  CHECK(cache.Touch("k", kSoonS) == Presence::kHit);
  CHECK(cache.See("k")->expires_at_s == kSoonS);
  CHECK((cache.Get("k") == value));
  REQUIRE(cache.Set("j", value.substr(1)) == StoreStatus::kStored);
  CHECK(cache.Append("j", "++") == StoreStatus::kNotStored);
  CHECK(cache.Append("j", "+") == StoreStatus::kStored);
  cache.cache().CheckInvariants();
}

TEST_CASE("an item whose first expiry finds no memory stays, and is not missed",
          "[slab][cache][expiry]") {
  CacheFixture cache({.memory_bytes = kPageBytes});
  std::vector<CacheFixture::Pinned> pins;  // Nothing can be evicted.
  int count = 0;
  while (cache.Set(std::to_string(count), "value") == StoreStatus::kStored) {
    pins.push_back(cache.Pin(std::to_string(count++)));
  }
  CHECK(cache.Touch("0", kSoonS) == Presence::kNoRoom);
  CHECK(cache.Get("0") == "value");
  CHECK(cache.Touch("0", 0) == Presence::kHit);
  CHECK(cache.items() == static_cast<std::uint64_t>(count));
  CHECK(cache.cache().AddRoom(Room::kExpiry, cache.Key("0"), cache.lane()) ==
        RoomStatus::kNoMemory);
  pins.clear();
  cache.cache().CheckInvariants();
}

// --- What others do in the meantime --------------------------------------------------------------

TEST_CASE_METHOD(CacheFixture, "an append is not repeated for a change of anything but the value",
                 "[slab][cache][race]") {
  const StoreMode mode = GENERATE(StoreMode::kAppend, StoreMode::kPrepend);
  const std::string value = Noise(GENERATE(5U, 300'000U), 1);
  REQUIRE(Store({.key = "k", .value = value, .flags = 3, .expires_at_s = kSoonS}) ==
          StoreStatus::kStored);
  const std::uint64_t cas = See("k")->cas;
  int times = 0;
  const RaceSteps steps(RacePoint::kJoin, [&] {
    ++times;
    CHECK(Touch("k", kSoonS + 1) == Presence::kHit);
    Visit("k", [&](Item& item) {
      item.set_cas(cache().NextCas(lane()));
      item.size_and_state |= Item::kIsStale;
    });
  });
  SECTION("without a CAS it stores") {
    CHECK(Store({.mode = mode, .key = "k", .value = "+"}) == StoreStatus::kStored);
    const auto seen = See("k");
    CHECK((seen->value == (mode == StoreMode::kAppend ? value + "+" : "+" + value)));
    CHECK(seen->expires_at_s == kSoonS + 1);
    CHECK(seen->client_flags == 3);
  }
  SECTION("with the CAS from before it does not") {
    CHECK(Store({.mode = mode, .key = "k", .value = "+", .cas = cas}) == StoreStatus::kExists);
    CHECK((Get("k") == value));
  }
  CHECK(times == 1);
  cache().CheckInvariants();
}

TEST_CASE_METHOD(CacheFixture, "an append to what is stored again and again joins the last value",
                 "[slab][cache][race]") {
  const StoreMode mode = GENERATE(StoreMode::kAppend, StoreMode::kPrepend);
  const std::size_t bytes = GENERATE(5U, 5000U, 300'000U);
  const auto chosen_cas = GENERATE(as<std::optional<std::uint64_t>>{}, std::nullopt, kWideCas);
  REQUIRE(Set("k", "0") == StoreStatus::kStored);
  std::uint64_t times = 0;
  {
    const RaceSteps steps(RacePoint::kJoin, [&] {
      REQUIRE(Set("k", Noise(bytes + times % 3, times)) == StoreStatus::kStored);
      ++times;
    });
    CHECK(PublishChosen("k", "+", {.mode = mode}, chosen_cas).status == StoreStatus::kStored);
  }
  CHECK(times > 1);
  const std::string last = Noise(bytes + (times - 1) % 3, times - 1);
  CHECK((Get("k") == (mode == StoreMode::kAppend ? last + "+" : "+" + last)));
  if (chosen_cas) CHECK(See("k")->cas == *chosen_cas);
  CHECK(Delete("k"));
  CHECK(used_chunks() == 0);
  cache().CheckInvariants();
}

TEST_CASE("an append to what is stored again and again makes room by eviction",
          "[slab][cache][race]") {
  CacheFixture cache({.memory_bytes = 2 * kMiB});
  const std::size_t bytes = GENERATE(5U, 300'000U);
  cache.Fill(bytes);
  std::uint64_t times = 0;
  {
    const RaceSteps steps(RacePoint::kJoin, [&] {
      (void)cache.Set("k", Noise(bytes, ++times));
      cache.Fill(bytes, 1);
      REQUIRE(cache.Set("k", Noise(bytes, times)) == StoreStatus::kStored);
    });
    REQUIRE(cache.Set("k", "0") == StoreStatus::kStored);
    CHECK(cache.Append("k", "+") == StoreStatus::kStored);
  }
  CHECK((cache.Get("k") == Noise(bytes, times) + "+"));
  cache.cache().CheckInvariants();
}

TEST_CASE_METHOD(CacheFixture, "an item that is stored again and again gets its room",
                 "[slab][cache][race]") {
  const std::size_t bytes = GENERATE(5U, 5000U, 300'000U);
  REQUIRE(Set("k", Noise(bytes, 0)) == StoreStatus::kStored);
  std::uint64_t times = 0;
  {
    const RaceSteps steps(RacePoint::kAddRoom, [&] {
      REQUIRE(Set("k", Noise(bytes, ++times)) == StoreStatus::kStored);
    });
    CHECK(Touch("k", kSoonS) == Presence::kHit);
  }
  CHECK(times > 1);
  CHECK(See("k")->expires_at_s == kSoonS);
  CHECK((Get("k") == Noise(bytes, times)));
  CHECK(Delete("k"));
  CHECK(used_chunks() == 0);
}

TEST_CASE_METHOD(CacheFixture, "an item that moves for room has what changed meanwhile",
                 "[slab][cache][race]") {
  const bool has_cas = GENERATE(false, true);
  const bool gets_cas = GENERATE(false, true);
  CAPTURE(has_cas, gets_cas);
  const std::string value = "value";  // With room for a CAS in its chunk.
  const auto chosen = has_cas ? std::optional(kWideCas) : std::nullopt;
  REQUIRE(PublishChosen("k", value, {}, chosen).status == StoreStatus::kStored);
  std::uint64_t number = 0;
  {
    const RaceSteps steps(RacePoint::kAddRoom, [&] {
      Visit("k", [&](Item& item) {
        item.size_and_state |= Item::kWinTokenSent;
        item.set_cas(cache().NextCas(lane()));
        if (gets_cas) CHECK(cache().ChooseCas(item, 77, lane()));
        number = item.number();
      });
    });
    CHECK(Touch("k", kSoonS) == Presence::kHit);
  }
  Visit("k", [&](Item& item) {
    CHECK(item.is_win_token_sent());
    CHECK(item.number() == number);
    CHECK(item.cas() == (gets_cas ? 77 : number));
    CHECK(item.expiry() == Expiry::At(kSoonS));
  });
  CHECK((Get("k") == value));
  cache().CheckInvariants();
}

TEST_CASE_METHOD(CacheFixture,
                 "what goes on from an unchanged item keeps the expiry it has by then",
                 "[slab][cache][race]") {
  const std::uint32_t first_expiry_s = GENERATE(0U, kSoonS);
  REQUIRE(Store({.key = "k", .value = "9", .expires_at_s = first_expiry_s}) ==
          StoreStatus::kStored);
  std::uint64_t number = 0;
  Visit("k", [&](const Item& item) { number = item.number(); });
  REQUIRE(Touch("k", kSoonS + 1) == Presence::kHit);
  ItemSpec spec = Spec("k", 2);
  const bool has_room = GENERATE(false, true);
  spec.has_expiry_room = has_room;
  auto reserved = cache().Reserve(spec, lane());
  REQUIRE(reserved);
  WriteAll("10", reserved->value());
  const StoreOutcome outcome = cache().Publish(
      std::move(*reserved),
      {.mode = StoreMode::kUnchanged, .cas_unique = number, .keeps_expiry = true}, lane());
  CHECK(outcome.status == (has_room ? StoreStatus::kStored : StoreStatus::kExists));
  CHECK(outcome.expiry == (has_room ? Expiry::At(kSoonS + 1) : Expiry()));
  CHECK(See("k")->expires_at_s == kSoonS + 1);
  CHECK(Get("k") == (has_room ? "10" : "9"));
}

}  // namespace
}  // namespace larder::slab
