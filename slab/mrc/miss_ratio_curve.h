// MissRatioCurve: miss ratios by size of memory, from the misses of a sample.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "slab/check.h"
#include "slab/mrc/miniature_caches.h"

namespace larder::slab {

// References of all keys, and how many of them missed.
struct ReferenceCount {
  double references = 0;
  double misses = 0;
};

// MissRatioCurve divides the misses of the sample, each of which stands for 1 / rate misses, by all
// references, and not by those of the sample. The sample has more or fewer than its share, mainly
// because it has the most popular keys or lacks them, and those are hits at nearly every size. So
// what is missing counts as hits, and what is too much comes off the hits.
//
// The cache knows the true miss ratio of its present size. So the whole curve is raised or lowered
// until it goes through that point: most of what a sample gets wrong is wrong at all sizes.
//
// All counts are halved whenever they stand for kSampledMax references of the sample: 16 for each
// of its keys. So what came in the last 8 to 16 references for each key has half of the weight or
// more, and what is older fades.
//
// Threads:    one thread.
// Source:     the correction is SHARDS-adj of the SHARDS paper, see MiniatureCaches.
class MissRatioCurve {
 public:
  static constexpr double kSampledMax = 16.0 * SampledKeys::kKeysMax;

  // Counts references of all keys. `rate` is that of the sample, whose misses are told by Miss().
  void AddReferences(const ReferenceCount& count, double rate) {
    LARDER_ASSERT(count.misses >= 0 && count.references >= count.misses);
    LARDER_ASSERT(rate > 0 && rate <= 1);
    all_.references += count.references;
    all_.misses += count.misses;
    if (all_.references * rate >= kSampledMax) Halve();
  }
  // Counts a reference of the sample that missed at these sizes.
  void Miss(SizeSet sizes, double rate) {
    LARDER_ASSERT(rate > 0 && rate <= 1);
    for (std::size_t size = 0; size < kSimulatedSizes; ++size) {
      if ((sizes >> size & 1U) != 0) misses_[size] += 1 / rate;
    }
  }
  void Clear() {
    all_ = {};
    misses_.fill(0);
  }

  // What the ratios are from.
  const ReferenceCount& counted() const { return all_; }
  // Misses by references, 0 to 1; 0 if there are no references.
  double MissRatio(std::size_t size) const {
    if (all_.references <= 0) return 0;
    const double misses = misses_[size] + all_.misses - misses_[kPresentSize];
    return std::clamp(misses / all_.references, 0.0, 1.0);
  }

 private:
  void Halve() {
    all_.references /= 2;
    all_.misses /= 2;
    for (double& misses : misses_) misses /= 2;
  }

  ReferenceCount all_;
  std::array<double, kSimulatedSizes> misses_{};
};

}  // namespace larder::slab
