// Zipf: numbers of which the small ones are drawn more often.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

namespace larder::slab {

// Draws numbers below `count`, the smaller the more often: the i-th with weight 1 / i^skew.
class Zipf {
 public:
  Zipf(std::size_t count, double skew, unsigned seed) : random_(seed), sums_(count) {
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i) {
      sum += 1 / std::pow(static_cast<double>(i + 1), skew);
      sums_[i] = sum;
    }
  }
  std::size_t Draw() {
    const double at = std::uniform_real_distribution<double>(0, sums_.back())(random_);
    return static_cast<std::size_t>(std::ranges::lower_bound(sums_, at) - sums_.begin());
  }

 private:
  std::mt19937_64 random_;
  std::vector<double> sums_;
};

}  // namespace larder::slab
