// Which key comes next: uniform or Zipf-distributed.
#pragma once

#include <cstdint>

#include "tests/bench/random.h"

namespace larder::bench {

// Zipf draws ranks 0 .. count - 1, rank r with a probability proportional to 1 / (r + 1)^theta, in
// constant time and memory whatever the count. Any theta >= 0 will do; 0 is uniform.
//
// Threads: immutable.
// Source:  rejection-inversion, Hormann and Derflinger, "Rejection-inversion to generate variates
//          from monotone discrete distributions", 1996.
class Zipf {
 public:
  // REQUIRES: count > 0, theta >= 0.
  Zipf(std::uint32_t count, double theta);

  std::uint32_t Draw(Random& random) const;

 private:
  double Density(double x) const;  // x^-theta
  double Area(double x) const;     // Its integral from 1 to x.
  double AreaInverse(double area) const;

  const std::uint32_t count_;
  const double theta_;
  const double area_min_;  // Area left of rank 1, moved so that rank 1 is always accepted.
  const double area_max_;
  const double sure_gap_;  // A draw this close below its rank needs no exact test.
};

// KeyChooser draws key indices whose popularity follows Zipf while neighbours in popularity are no
// neighbours in index, so that the hot keys of a server loaded in index order are spread over its
// memory.
//
// Threads: immutable.
class KeyChooser {
 public:
  // REQUIRES: as Zipf.
  KeyChooser(std::uint32_t count, double theta);

  std::uint32_t Draw(Random& random) const {
    const std::uint64_t rank = zipf_.Draw(random);
    return static_cast<std::uint32_t>(rank * stride_ % count_);
  }

 private:
  const Zipf zipf_;
  const std::uint32_t count_;
  const std::uint64_t stride_;  // Has no common factor with count_: rank -> index is a bijection.
};

}  // namespace larder::bench
