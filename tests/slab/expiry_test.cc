#include "slab/item/expiry.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>

namespace larder::slab {
namespace {

constexpr std::uint32_t kNowS = 1'800'000'000;
constexpr std::int32_t kHourS = 3600;
constexpr std::uint32_t kBit31S = 1U << 31;

TEST_CASE("what never expires is never over, and what is long past always", "[slab][expiry]") {
  const std::uint32_t now_s =
      GENERATE(0U, 1U, kNowS, kBit31S, kBit31S + 1, std::numeric_limits<std::uint32_t>::max());
  const Now now{.now_s = now_s, .wall_ahead_s = GENERATE(0, kHourS, -kHourS)};
  CHECK_FALSE(Expiry().is_set());
  CHECK_FALSE(Expiry().IsOver(now));
  CHECK(Expiry::LongPast().is_set());
  CHECK(Expiry::LongPast().IsOver(now));
  CHECK(Expiry::LongPast().SecondsLeft(now) < -1'000'000'000);
}

TEST_CASE("an expiry by the server's own clock does not see the wall clock", "[slab][expiry]") {
  // Wherever the bits that are kept come round.
  const std::uint32_t start_s =
      GENERATE(1'000U, kNowS, kBit31S - 50, std::numeric_limits<std::uint32_t>::max() - 10);
  const Expiry expiry = Expiry::At(start_s + 100);
  const std::int32_t ahead_s = GENERATE(0, kHourS, -kHourS, 2'000'000'000);
  Now now{.now_s = start_s, .wall_ahead_s = ahead_s};
  CHECK(expiry.SecondsLeft(now) == 100);
  CHECK(expiry.UnixTime(now) == now.wall_s() + 100);
  now.now_s += 99;
  CHECK_FALSE(expiry.IsOver(now));
  ++now.now_s;
  CHECK(expiry.IsOver(now));
  now.now_s += 1'000'000'000;
  CHECK(expiry.IsOver(now));
}

TEST_CASE("an expiry in Unix time follows the wall clock, as it is set", "[slab][expiry]") {
  const std::int32_t ahead_s = GENERATE(0, 2 * kHourS, -2 * kHourS);
  Now now{.now_s = kNowS, .wall_ahead_s = ahead_s};
  const std::uint32_t unix_s = now.wall_s() + 100;
  const Expiry expiry = Expiry::AtUnixTime(unix_s, now);
  CHECK(expiry.SecondsLeft(now) == 100);
  CHECK(expiry.UnixTime(now) == unix_s);
  now.wall_ahead_s += 99;
  CHECK_FALSE(expiry.IsOver(now));
  now.wall_ahead_s += 1;
  CHECK(expiry.IsOver(now));
  now.wall_ahead_s -= kHourS;
  CHECK(expiry.SecondsLeft(now) == kHourS);
  CHECK_FALSE(expiry.IsOver(now));
  now.now_s += kHourS;
  CHECK(expiry.IsOver(now));
}

TEST_CASE("a Unix time that was over when it was given stays over", "[slab][expiry]") {
  Now now{.now_s = kNowS};
  const Expiry expiry = Expiry::AtUnixTime(kNowS - GENERATE(0U, 10U, kNowS - 1), now);
  CHECK(expiry.IsOver(now));
  now.wall_ahead_s = -kHourS;
  CHECK(expiry.IsOver(now));
}

TEST_CASE("a Unix time that is too far, or too old, goes by the server's own clock",
          "[slab][expiry]") {
  SECTION("the last one that 32 bits know is 34 years away") {
    Now now{.now_s = kNowS};
    const Expiry expiry = Expiry::AtUnixTime(std::numeric_limits<std::uint32_t>::max(), now);
    CHECK(expiry.SecondsLeft(now) == (1 << 30) - 1);
    now.wall_ahead_s = 2'000'000'000;
    CHECK_FALSE(expiry.IsOver(now));
  }
  SECTION("a machine that began in 1970 may have its clock set") {
    Now now{.now_s = 1'000};
    const Expiry expiry = Expiry::AtUnixTime(5'000'000, now);
    now.wall_ahead_s = static_cast<std::int32_t>(kNowS);
    CHECK_FALSE(expiry.IsOver(now));
    now.now_s = 5'000'000;
    CHECK(expiry.IsOver(now));
  }
  SECTION("the wall clock's codes end in 2078") {
    const Now now{.now_s = kNowS};
    const std::uint32_t last_s = 1'262'304'000 + (kBit31S - 1);
    CHECK(Expiry::AtUnixTime(last_s, now).UnixTime(now) == last_s);
    CHECK(Expiry::AtUnixTime(last_s + 1, now).UnixTime(now) == kNowS + (1 << 30) - 1);
  }
}

TEST_CASE("over a restart an expiry keeps its distance by the clock that it goes by",
          "[slab][expiry]") {
  const std::int32_t ahead_s = GENERATE(as<std::int32_t>{}, kHourS, -kHourS);
  const Now before{.now_s = kNowS, .wall_ahead_s = ahead_s};
  const Now after{.now_s = before.wall_s()};
  CHECK(Expiry::At(kNowS + 100).OnWallTime(before).SecondsLeft(after) == 100);
  const Expiry by_wall = Expiry::AtUnixTime(before.wall_s() + 100, before);
  CHECK(by_wall.OnWallTime(before).SecondsLeft(after) == 100);
  CHECK_FALSE(Expiry().OnWallTime(before).is_set());
  CHECK(Expiry::LongPast().OnWallTime(before) == Expiry::LongPast());
}

TEST_CASE("a second sooner is a second sooner by either clock", "[slab][expiry]") {
  const Now now{.now_s = kNowS};
  CHECK(Expiry::At(kNowS + 9).Sooner() == Expiry::At(kNowS + 8));
  CHECK(Expiry::AtUnixTime(kNowS + 9, now).Sooner() == Expiry::AtUnixTime(kNowS + 8, now));
  CHECK(Expiry::LongPast().Sooner() == Expiry::LongPast());
}

}  // namespace
}  // namespace larder::slab
