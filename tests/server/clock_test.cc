#include "server/clock.h"

#include <catch2/catch.hpp>
#include <random>

namespace larder::server {
namespace {

using std::chrono::microseconds;

TEST_CASE("no second of the clock is left out when its timer is early or late", "[clock]") {
  const Clock::Time start;
  Clock clock(start);
  std::mt19937 random(7);
  std::uniform_int_distribution<int> off_us(-10'000, 10'000);
  Clock::Time now = start + microseconds(GENERATE(0, 3'000, 500'000, 999'999));
  clock.Tick(now);
  for (int tick = 0; tick < 2'000; ++tick) {
    now += clock.UntilNextSecond(now) + microseconds(off_us(random));
    const std::uint32_t shown_s = clock.now_s() - clock.started_s();
    clock.Tick(now);
    INFO("tick " << tick << " at " << (now - start).count() << " ns");
    REQUIRE(clock.now_s() - clock.started_s() <= shown_s + 1);
    REQUIRE(now - start < std::chrono::seconds(shown_s + 1) + microseconds(10'000));
  }
}

TEST_CASE("the wait for the next second ends in it", "[clock]") {
  const Clock::Time start;
  const Clock clock(start);
  CHECK(clock.UntilNextSecond(start) == microseconds(1'000'000));
  CHECK(clock.UntilNextSecond(start + microseconds(1)) == microseconds(999'999));
  CHECK(clock.UntilNextSecond(start + microseconds(41'999'999)) == microseconds(1));
  CHECK(clock.UntilNextSecond(start + std::chrono::nanoseconds(1'500)) == microseconds(999'999));
}

}  // namespace
}  // namespace larder::server
