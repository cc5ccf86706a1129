#include "tests/bench/histogram.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <memory>

#include "tests/bench/random.h"

namespace larder::bench {
namespace {

TEST_CASE("an empty histogram has percentiles of 0", "[bench][histogram]") {
  const auto histogram = std::make_unique<Histogram>();
  CHECK(histogram->Percentile(50) == 0);
  CHECK(histogram->Percentile(100) == 0);
  CHECK(histogram->max() == 0);
}

TEST_CASE("a single value is every percentile, exactly", "[bench][histogram]") {
  const std::uint64_t value =
      GENERATE(as<std::uint64_t>{}, 0, 1, 127, 128, 129, 255, 256, 1'000'003, Histogram::kValueMax);
  CAPTURE(value);
  const auto histogram = std::make_unique<Histogram>();
  histogram->Record(value);
  CHECK(histogram->Percentile(0) == value);
  CHECK(histogram->Percentile(50) == value);
  CHECK(histogram->Percentile(99.9) == value);
}

TEST_CASE("a percentile of any magnitude is within 1% of the exact one", "[bench][histogram]") {
  const auto scale = GENERATE(1u, 10u, 12'345u, 1'000'000u, 50'000'000u);
  CAPTURE(scale);
  const auto histogram = std::make_unique<Histogram>();
  for (std::uint64_t i = 1; i <= 10'000; ++i) histogram->Record(i * scale);
  const auto percent = GENERATE(1.0, 50.0, 90.0, 99.0, 99.9, 100.0);
  CAPTURE(percent);
  const double exact = percent / 100 * 10'000 * scale;
  const auto reported = static_cast<double>(histogram->Percentile(percent));
  CHECK(reported >= exact * (1 - 1e-9));
  CHECK(reported <= exact * 1.01);
}

TEST_CASE("a value that stands for many counts as many", "[bench][histogram]") {
  const auto histogram = std::make_unique<Histogram>();
  histogram->Record(10, 98);
  histogram->Record(100, 2);
  CHECK(histogram->count() == 100);
  CHECK(histogram->Percentile(98) == 10);
  CHECK(histogram->Percentile(99) == 100);
}

TEST_CASE("values beyond the range count as the largest", "[bench][histogram]") {
  const auto histogram = std::make_unique<Histogram>();
  histogram->Record(~std::uint64_t{0});
  CHECK(histogram->max() == Histogram::kValueMax);
}

TEST_CASE("merged histograms equal one that saw everything", "[bench][histogram]") {
  Random random(7);
  const auto all = std::make_unique<Histogram>();
  const auto left = std::make_unique<Histogram>();
  const auto right = std::make_unique<Histogram>();
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t value = random.Next() >> (24 + random.Below(40));
    all->Record(value);
    (i % 3 == 0 ? left : right)->Record(value);
  }
  left->Merge(*right);
  CHECK(left->count() == all->count());
  CHECK(left->max() == all->max());
  for (double percent = 0; percent <= 100; percent += 0.5) {
    CHECK(left->Percentile(percent) == all->Percentile(percent));
  }
}

}  // namespace
}  // namespace larder::bench
