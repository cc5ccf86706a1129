#include "server/metrics/mrc_metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "slab/check.h"

namespace larder::server {
namespace {

using slab::MissRatioEstimate;
using enum MetricKind;
using Point = MissRatioEstimate::Point;

// Fewer references of the sample say too little.
constexpr double kSampledMin = 1000;

std::string Ratio(double ratio) { return fmt::format("{:.4f}", ratio); }
std::string SampleRate(const MissRatioEstimate& estimate) {
  return fmt::format("{:.6f}", estimate.sample_rate);
}
std::string Counted(const MissRatioEstimate& estimate) {
  return ValueText(static_cast<std::uint64_t>(estimate.counted_references));
}

std::string LimitBytes(const MrcPoint& source) { return ValueText(source.point().limit_bytes); }
std::string Items(const MrcPoint& source) { return ValueText(source.point().items); }
std::string MissRatio(const MrcPoint& source) { return Ratio(source.point().miss_ratio); }

constexpr auto kMrcRows = std::to_array<Metric<MissRatioEstimate>>({
    // name, kind, getter, help, family
    {"sample_rate",
     kGauge,
     SampleRate,
     "Share of the keys that is in the sample.",
     {"larder_mrc_sample_ratio"}},
    {"sampled_keys",
     kGauge,
     Value<&MissRatioEstimate::sampled_keys>,
     "Keys of the sample that a simulation holds.",
     {"larder_mrc_sampled_keys"}},
    {"references",
     kCounter,
     Value<&MissRatioEstimate::references>,
     "Reads and touches of clients.",
     {"larder_mrc_references_total"}},
    {"sampled_references",
     kCounter,
     Value<&MissRatioEstimate::sampled_references>,
     "Reads and touches that were simulated.",
     {"larder_mrc_sampled_references_total"}},
    {"dropped_rounds",
     kCounter,
     Value<&MissRatioEstimate::dropped_rounds>,
     "Rounds of 50 ms with too many references to sample.",
     {"larder_mrc_dropped_rounds_total"}},
    {"counted_references",
     kGauge,
     Counted,
     "Recent references that the miss ratios are from.",
     {"larder_mrc_counted_references"}},
    {"advice", kText, MrcAdvice, "What more memory, and less, would do to the misses."},
});
static_assert(HasWholeRows(kMrcRows) && HasKindByFamily(kMrcRows));

constexpr auto kPointRows = std::to_array<Metric<MrcPoint>>({
    // name, kind, getter, help, family
    {"limit_maxbytes",
     kGauge,
     LimitBytes,
     "The memory limit of this size.",
     {"larder_mrc_limit_bytes"}},
    {"items",
     kGauge,
     Items,
     "Items that a cache of this size would hold by now.",
     {"larder_mrc_items"}},
    {"miss_ratio",
     kGauge,
     MissRatio,
     "Share of the reads that would miss.",
     {"larder_mrc_miss_ratio"}},
});
static_assert(HasWholeRows(kPointRows) && HasKindByFamily(kPointRows));

const Point& PointOf(const MissRatioEstimate& estimate, std::uint32_t percent) {
  const auto* const found = std::ranges::find(slab::kSizePercents, percent);
  LARDER_ASSERT(found != slab::kSizePercents.end());
  return estimate.points[static_cast<std::size_t>(found - slab::kSizePercents.begin())];
}

// In tenths of a percent: what is less than that is no change.
long Tenths(double ratio) { return std::lround(ratio * 1000); }
std::string Percent(long tenths) { return fmt::format("{}.{}%", tenths / 10, tenths % 10); }
std::string Megabytes(std::uint64_t bytes) {
  return fmt::format("{:.5g} MB", static_cast<double>(bytes) / (1 << 20));
}

// "rise to 19.0%", or "fall to" or "stay at".
std::string Change(long before, long after) {
  if (before == after) return "stay at " + Percent(after);
  return (after > before ? "rise to " : "fall to ") + Percent(after);
}

}  // namespace

std::string MrcAdvice(const MissRatioEstimate& estimate) {
  const double sampled = estimate.counted_references * estimate.sample_rate;
  if (sampled < kSampledMin) return "there were too few reads to say";
  const Point& more = PointOf(estimate, 200);
  const Point& less = PointOf(estimate, 50);
  const long present = Tenths(PointOf(estimate, 100).miss_ratio);
  const long with_more = Tenths(more.miss_ratio);
  const std::string first =
      with_more == present ? Change(present, present)
                           : fmt::format("{} from {} to {}", with_more < present ? "fall" : "rise",
                                         Percent(present), Percent(with_more));
  return fmt::format("with {} misses {}; with {} they {}", Megabytes(more.limit_bytes), first,
                     Megabytes(less.limit_bytes), Change(present, Tenths(less.miss_ratio)));
}

std::span<const Metric<MissRatioEstimate>> MrcMetrics() { return kMrcRows; }
std::span<const Metric<MrcPoint>> MrcPointMetrics() { return kPointRows; }

}  // namespace larder::server
