#include "server/metrics/prefix_metrics.h"

#include <array>
#include <string>

namespace larder::server {
namespace {

using enum MetricKind;
using slab::PrefixStat;

template <PrefixStat kStat>
std::string Count(const PrefixSample& sample) {
  return ValueText(sample.of(kStat));
}

constexpr auto kRows = std::to_array<Metric<PrefixSample>>({
    // name, kind, getter, help, family
    {"items",
     kGauge,
     Count<PrefixStat::kItems>,
     "Items that have memory.",
     {"larder_prefix_items"}},
    {"bytes", kGauge, Count<PrefixStat::kBytes>, "Bytes of these items.", {"larder_prefix_bytes"}},
    {"memory",
     kGauge,
     Count<PrefixStat::kMemory>,
     "Bytes of the chunks that they lie in.",
     {"larder_prefix_memory_bytes"}},
    {"hits",
     kCounter,
     Count<PrefixStat::kHits>,
     "Keys asked for that were found, as estimated.",
     {"larder_prefix_hits_total"}},
    {"misses",
     kCounter,
     Count<PrefixStat::kMisses>,
     "Keys asked for that were not found, as estimated.",
     {"larder_prefix_misses_total"}},
    {"evictions",
     kCounter,
     Count<PrefixStat::kEvictions>,
     "Items that were removed to make room.",
     {"larder_prefix_evictions_total"}},
});
static_assert(HasWholeRows(kRows) && HasKindByFamily(kRows));

}  // namespace

std::span<const Metric<PrefixSample>> PrefixMetrics() { return kRows; }

}  // namespace larder::server
