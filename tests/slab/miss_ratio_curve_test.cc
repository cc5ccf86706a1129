#include "slab/mrc/miss_ratio_curve.h"

#include <catch2/catch.hpp>

namespace larder::slab {
namespace {

constexpr SizeSet kSmallest = 1;
constexpr SizeSet kUpToPresent = (1U << (kPresentSize + 1)) - 1;

TEST_CASE("the curve goes through the true miss ratio", "[slab][mrc]") {
  MissRatioCurve curve;
  CHECK(curve.MissRatio(0) == 0);
  // A tenth of the keys, which missed 5 times at most sizes and 3 times more at the smallest.
  curve.AddReferences({.references = 1000, .misses = 60}, 0.1);
  for (int i = 0; i < 5; ++i) curve.Miss(kUpToPresent, 0.1);
  for (int i = 0; i < 3; ++i) curve.Miss(kSmallest, 0.1);
  CHECK(curve.MissRatio(kPresentSize) == Approx(0.06));
  CHECK(curve.MissRatio(0) == Approx(0.09));
  CHECK(curve.MissRatio(kPresentSize + 1) == Approx(0.01));
  curve.Clear();
  CHECK(curve.counted().references == 0);
  CHECK(curve.MissRatio(kPresentSize) == 0);
}

TEST_CASE("miss ratios stay between 0 and 1", "[slab][mrc]") {
  MissRatioCurve curve;
  curve.AddReferences({.references = 10, .misses = 0}, 1);
  curve.Miss(kUpToPresent, 1);
  CHECK(curve.MissRatio(kPresentSize) == 0);
  CHECK(curve.MissRatio(kPresentSize + 1) == 0);
  curve.AddReferences({.references = 10, .misses = 10}, 1);
  for (int i = 0; i < 30; ++i) curve.Miss(kSmallest, 1);
  CHECK(curve.MissRatio(0) == 1);
}

TEST_CASE("old references fade", "[slab][mrc]") {
  MissRatioCurve curve;
  // All missed, then nothing does.
  constexpr double kRate = 0.5;
  constexpr double kStep = 1000;
  const int steps = static_cast<int>(MissRatioCurve::kSampledMax / kRate / kStep);
  for (int i = 0; i < steps; ++i)
    curve.AddReferences({.references = kStep, .misses = kStep}, kRate);
  CHECK(curve.MissRatio(kPresentSize) == 1);
  for (int i = 0; i < steps; ++i) curve.AddReferences({.references = kStep}, kRate);
  CHECK(curve.MissRatio(kPresentSize) < 0.4);
  for (int i = 0; i < 6 * steps; ++i) curve.AddReferences({.references = kStep}, kRate);
  CHECK(curve.MissRatio(kPresentSize) < 0.01);
  CHECK(curve.counted().references * kRate < MissRatioCurve::kSampledMax);
}

}  // namespace
}  // namespace larder::slab
