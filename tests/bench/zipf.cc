#include "tests/bench/zipf.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

namespace larder::bench {
namespace {

// Near 1 the general formulas divide by almost zero; there the logarithm is exact enough.
bool IsOne(double theta) { return std::abs(theta - 1.0) < 1e-9; }

std::uint64_t StrideFor(std::uint32_t count) {
  std::uint64_t stride = static_cast<std::uint64_t>(count * 0.6180339887) | 1;
  while (std::gcd(stride, std::uint64_t{count}) != 1) stride += 2;
  return stride;
}

}  // namespace

// Ranks are 1-based in here, as in the paper: rank k owns the stretch [k - 1/2, k + 1/2] of x. A
// uniform point of the area under the density is mapped back to x and rounded to a rank; because
// the density is convex, that stretch's area is at least the rank's weight, and the surplus is
// rejected.
Zipf::Zipf(std::uint32_t count, double theta)
    : count_(count),
      theta_(theta),
      area_min_(Area(1.5) - 1.0),
      area_max_(Area(count + 0.5)),
      sure_gap_(2.0 - AreaInverse(Area(2.5) - Density(2.0))) {
  assert(count > 0);
  assert(theta >= 0.0);
}

std::uint32_t Zipf::Draw(Random& random) const {
  if (theta_ == 0.0) return random.Below(count_);
  for (;;) {
    const double area = area_max_ - random.Unit() * (area_max_ - area_min_);
    const double x = AreaInverse(area);
    const double rank = std::clamp(std::floor(x + 0.5), 1.0, static_cast<double>(count_));
    const bool accepted = rank - x <= sure_gap_ || area >= Area(rank + 0.5) - Density(rank);
    if (accepted) return static_cast<std::uint32_t>(rank) - 1;
  }
}

double Zipf::Density(double x) const { return std::pow(x, -theta_); }

double Zipf::Area(double x) const {
  if (IsOne(theta_)) return std::log(x);
  return (std::pow(x, 1.0 - theta_) - 1.0) / (1.0 - theta_);
}

double Zipf::AreaInverse(double area) const {
  if (IsOne(theta_)) return std::exp(area);
  // Rounding may push the base below zero at the far end of a steep distribution.
  const double base = std::max(0.0, 1.0 + area * (1.0 - theta_));
  return std::pow(base, 1.0 / (1.0 - theta_));
}

KeyChooser::KeyChooser(std::uint32_t count, double theta)
    : zipf_(count, theta), count_(count), stride_(StrideFor(count)) {}

}  // namespace larder::bench
