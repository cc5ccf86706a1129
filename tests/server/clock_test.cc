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

// A clock, and the system's two, which move as the test says.
class WallClockTest {
 protected:
  void Pass(std::chrono::milliseconds own, std::chrono::milliseconds wall) {
    reading_.own += own;
    reading_.wall += wall;
    clock_.Tick(reading_);
  }
  std::int32_t ahead_s() const { return clock_.now().wall_ahead_s; }
  std::uint32_t passed_s() const { return clock_.now_s() - clock_.started_s(); }
  Clock& clock() { return clock_; }

 private:
  Clock::Reading reading_{.own = {}, .wall = Clock::WallTime(std::chrono::seconds(1'800'000'000))};
  Clock clock_{reading_};
};

using namespace std::chrono_literals;

TEST_CASE_METHOD(WallClockTest, "the clock begins at the system's time", "[clock]") {
  CHECK(clock().started_s() == 1'800'000'000);
  CHECK(clock().now().wall_s() == 1'800'000'000);
  CHECK(ahead_s() == 0);
}

TEST_CASE_METHOD(WallClockTest, "when the system's time is set, only the wall clock moves",
                 "[clock]") {
  const std::int32_t step_s = GENERATE(3600, -3600, 3, -3, 864'000'000, -864'000'000);
  const std::chrono::seconds step(step_s);
  Pass(10s, 10s);
  Pass(1s, 1s + step);
  CHECK(passed_s() == 11);
  CHECK(ahead_s() == step_s);
  Pass(1s, 1s);
  CHECK(ahead_s() == step_s);
  CHECK(clock().now().wall_s() == static_cast<std::uint32_t>(1'800'000'012LL + step_s));
  Pass(1s, 1s - step);
  CHECK(ahead_s() == 0);
  CHECK(passed_s() == 13);
}

TEST_CASE_METHOD(WallClockTest, "a sleep of the machine goes by on the wall clock only",
                 "[clock]") {
  Pass(1s, 8h);
  CHECK(passed_s() == 1);
  CHECK(ahead_s() == 8 * 3600 - 1);
}

TEST_CASE_METHOD(WallClockTest, "the wall clock is followed without jitter", "[clock]") {
  std::mt19937 random(7);
  std::uniform_int_distribution<int> off_ms(-1'000, 1'000);
  Pass(0s, GENERATE(0s, 3600s));
  const std::int32_t ahead_before_s = ahead_s();
  std::chrono::milliseconds off{0};
  for (int tick = 0; tick < 2'000; ++tick) {
    const std::chrono::milliseconds next_off(off_ms(random));
    Pass(1s, 1s + next_off - off);
    off = next_off;
    REQUIRE(ahead_s() == ahead_before_s);
  }
}

TEST_CASE_METHOD(WallClockTest, "a wall clock that is slewed is never off by more than 2 s",
                 "[clock]") {
  const std::chrono::milliseconds slew = GENERATE(1ms, -1ms);
  std::chrono::milliseconds ahead{0};
  int corrections = 0;
  for (int tick = 0; tick < 20'000; ++tick) {
    const std::int32_t before_s = ahead_s();
    Pass(1s, 1s + slew);
    ahead += slew;
    if (ahead_s() != before_s) ++corrections;
    REQUIRE(std::chrono::abs(ahead - std::chrono::seconds(ahead_s())) <= 2s);
  }
  CHECK(corrections < 11);
  CHECK(corrections > 0);
}

TEST_CASE("a clock that follows the real one is not ahead of it", "[clock]") {
  Clock clock;
  clock.Tick();
  CHECK(clock.now().wall_ahead_s == 0);
  clock.StepWall(-100);
  clock.Tick();
  CHECK(clock.now().wall_ahead_s == -100);
  clock.Advance(50);
  clock.Tick();
  CHECK(clock.now().wall_ahead_s == -100);
}

}  // namespace
}  // namespace larder::server
