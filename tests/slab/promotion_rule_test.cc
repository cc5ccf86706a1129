#include "slab/eviction/promotion_rule.h"

#include <catch2/catch.hpp>
#include <cstdint>

namespace larder::slab {
namespace {

constexpr ItemRef kFirstRef = 36;
constexpr ItemRef kRefStep = 36;

// Wasted newcomers and newcomers that were hit, in a class of `items` items.
void Watch(PromotionRule& rule, int wasted, int hit, std::uint64_t items) {
  for (int i = 0; i < hit; ++i) rule.CountHit();
  for (int i = 0; i < wasted; ++i) rule.CountWasted(items);
}

// Of 1600 candidates on probation with this state: those that go to main.
int CountSpared(const PromotionRule& rule, EvictionState state) {
  int spared = 0;
  for (ItemRef i = 0; i < 1600; ++i) {
    spared += rule.IfSpared(state, kFirstRef + i * kRefStep) ? 1 : 0;
  }
  return spared;
}

TEST_CASE("one hit on probation is enough at first", "[slab][promotion]") {
  const PromotionRule rule;
  CHECK(CountSpared(rule, EvictionState::Born(7)) == 0);
  CHECK(rule.IfSpared(EvictionState::HitOnProbation(), 1) == EvictionState::Newcomer());
  CHECK(rule.IfSpared(EvictionState::HitTwiceOnProbation(), 1) == EvictionState::Main(0));
  CHECK(CountSpared(rule, EvictionState::HitOnProbation()) == 1600);
}

TEST_CASE("in main every hit is another round", "[slab][promotion]") {
  const PromotionRule rule;
  CHECK(CountSpared(rule, EvictionState::Newcomer()) == 0);
  CHECK(CountSpared(rule, EvictionState::Main(0)) == 0);
  CHECK(rule.IfSpared(EvictionState::Main(3), 1) == EvictionState::Main(2));
  CHECK(rule.IfSpared(EvictionState::Main(1), 1) == EvictionState::Main(0));
}

TEST_CASE("two hits are needed when nine in ten newcomers are wasted", "[slab][promotion]") {
  PromotionRule rule;
  Watch(rule, 255, 0, 100);
  CHECK_FALSE(rule.needs_two_hits());
  Watch(rule, 1, 0, 100);
  CHECK(rule.needs_two_hits());
  CHECK(CountSpared(rule, EvictionState::HitTwiceOnProbation()) == 1600);
  // The probes: one in 16.
  const int probes = CountSpared(rule, EvictionState::HitOnProbation());
  CHECK(probes > 60);
  CHECK(probes < 140);
  // Between the limits nothing changes, below them one hit is enough again.
  Watch(rule, 54, 10, 100);
  CHECK(rule.needs_two_hits());
  Watch(rule, 44, 20, 100);
  CHECK_FALSE(rule.needs_two_hits());
  Watch(rule, 85, 45, 100);
  Watch(rule, 85, 45, 100);
  CHECK_FALSE(rule.needs_two_hits());
}

TEST_CASE("large classes watch more newcomers", "[slab][promotion]") {
  PromotionRule rule;
  Watch(rule, 999, 0, 8000);
  CHECK_FALSE(rule.needs_two_hits());
  Watch(rule, 1, 0, 8000);
  CHECK(rule.needs_two_hits());
}

}  // namespace
}  // namespace larder::slab
