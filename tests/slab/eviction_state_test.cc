#include "slab/item/eviction_state.h"

#include <algorithm>
#include <catch2/catch.hpp>

namespace larder::slab {
namespace {

TEST_CASE("a byte tells segment, hits and birth", "[slab][eviction_state]") {
  for (std::uint32_t tick = 0; tick < EvictionState::kTicks; ++tick) {
    const EvictionState born = EvictionState::FromCode(EvictionState::Born(tick).code());
    if (born.segment() != Segment::kProbation || born.hits() != 0 || born.birth_tick() != tick) {
      FAIL("born at tick " << tick);
    }
  }
  CHECK(EvictionState::HitOnProbation().segment() == Segment::kProbation);
  CHECK(EvictionState::HitOnProbation().hits() == 1);
  CHECK(EvictionState::HitTwiceOnProbation().segment() == Segment::kProbation);
  CHECK(EvictionState::HitTwiceOnProbation().hits() == 2);
  CHECK(EvictionState::Newcomer().segment() == Segment::kMain);
  CHECK(EvictionState::Newcomer().hits() == 0);
  for (std::uint32_t hits = 0; hits <= EvictionState::kHitsMax; ++hits) {
    CHECK(EvictionState::Main(hits).segment() == Segment::kMain);
    CHECK(EvictionState::Main(hits).hits() == hits);
    CHECK(EvictionState::Main(hits).code() <= 255);
  }
}

TEST_CASE("hits in main are counted to 3, whatever the time", "[slab][eviction_state]") {
  const ProbationClock clock;
  EvictionState state = GENERATE(EvictionState::Main(0), EvictionState::Newcomer());
  for (const std::uint32_t hits : {1U, 2U, 3U, 3U}) {
    state = clock.AfterHit(state);
    CHECK(state == EvictionState::Main(hits));
  }
}

// A clock of a probation that has held `count` items for long.
void Settle(ProbationClock& clock, std::uint64_t count) {
  for (std::uint64_t i = 0; i < 4 * count; ++i) clock.CountArrival(count);
}

TEST_CASE("a hit counts once a quarter of probation has come behind the item",
          "[slab][eviction_state]") {
  const std::uint64_t count =
      GENERATE(std::uint64_t{4}, std::uint64_t{40}, std::uint64_t{320}, std::uint64_t{100'000});
  CAPTURE(count);
  ProbationClock clock;
  Settle(clock, count);
  const EvictionState born = EvictionState::Born(clock.tick());
  std::uint64_t arrivals = 0;
  while (clock.AfterHit(born).hits() == 0) {
    REQUIRE(arrivals < count);
    clock.CountArrival(count);
    ++arrivals;
  }
  // To a tick, a 32nd of the items or one of them.
  const std::uint64_t step = std::max<std::uint64_t>(1, count / 32);
  CHECK(arrivals + step >= count / 4);
  CHECK(arrivals <= count / 4 + step);
  CHECK(clock.AfterHit(born) == EvictionState::HitOnProbation());
  // A second one counts at once.
  const EvictionState twice = EvictionState::HitTwiceOnProbation();
  CHECK(clock.AfterHit(EvictionState::HitOnProbation()) == twice);
  CHECK(clock.AfterHit(twice) == twice);
}

TEST_CASE("ages are right over the wrap of the ticks", "[slab][eviction_state]") {
  ProbationClock clock;
  Settle(clock, 32);  // A tick an arrival, young below 8.
  for (int turn = 0; turn < 600; ++turn) {
    const EvictionState born = EvictionState::Born(clock.tick());
    if (clock.AfterHit(born).hits() != 0) FAIL("counts at once, turn " << turn);
    for (int i = 0; i < 7; ++i) clock.CountArrival(32);
    if (clock.AfterHit(born).hits() != 0) FAIL("counts too early, turn " << turn);
    clock.CountArrival(32);
    if (clock.AfterHit(born).hits() != 1) FAIL("does not count, turn " << turn);
    for (int i = 0; i < static_cast<int>(EvictionState::kTicks) - 1 - 8; ++i)
      clock.CountArrival(32);
    if (clock.AfterHit(born).hits() != 1) FAIL("too old, turn " << turn);
  }
  CHECK(clock.young_ticks() == 8);
}

}  // namespace
}  // namespace larder::slab
