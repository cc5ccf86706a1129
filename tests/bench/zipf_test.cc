#include "tests/bench/zipf.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

namespace larder::bench {
namespace {

constexpr int kDraws = 400'000;

std::vector<double> SharesDrawn(const Zipf& zipf, std::uint32_t count) {
  Random random(42);
  std::vector<double> shares(count, 0.0);
  for (int i = 0; i < kDraws; ++i) shares.at(zipf.Draw(random)) += 1.0 / kDraws;
  return shares;
}

TEST_CASE("each rank comes as often as its weight says", "[bench][zipf]") {
  const double theta = GENERATE(0.0, 0.5, 0.99, 1.0, 1.2, 2.0);
  const std::uint32_t count = GENERATE(1u, 2u, 3u, 100u);
  CAPTURE(theta, count);
  double sum = 0.0;
  for (std::uint32_t rank = 0; rank < count; ++rank) sum += std::pow(rank + 1, -theta);
  const std::vector<double> shares = SharesDrawn(Zipf(count, theta), count);
  for (std::uint32_t rank = 0; rank < count; ++rank) {
    CAPTURE(rank);
    const double share = std::pow(rank + 1, -theta) / sum;
    // Five standard deviations of a binomial count.
    const double margin = 5 * std::sqrt(share * (1 - share) / kDraws) + 1e-12;
    CHECK(shares[rank] == Approx(share).margin(margin));
  }
}

TEST_CASE("ranks of a large range stay within it", "[bench][zipf]") {
  const double theta = GENERATE(0.0, 0.2, 0.99, 1.0, 3.0, 10.0);
  CAPTURE(theta);
  constexpr std::uint32_t kCount = 4'000'000'000;
  const Zipf zipf(kCount, theta);
  Random random(1);
  for (int i = 0; i < 100'000; ++i) REQUIRE(zipf.Draw(random) < kCount);
}

TEST_CASE("every key can be chosen, and none is another's alias", "[bench][zipf]") {
  const std::uint32_t count = GENERATE(1u, 2u, 7u, 1000u, 1024u);
  CAPTURE(count);
  // A distribution this flat reaches every rank soon.
  const KeyChooser chooser(count, 0.0);
  Random random(3);
  std::vector<int> seen(count, 0);
  for (std::uint32_t i = 0; i < 30 * count; ++i) ++seen.at(chooser.Draw(random));
  CHECK(std::count(seen.begin(), seen.end(), 0) == 0);
}

}  // namespace
}  // namespace larder::bench
