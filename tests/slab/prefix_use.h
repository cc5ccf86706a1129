// What a cache has counted for a prefix.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "slab/cache.h"

namespace larder::slab {

// The sum over all lanes.
struct PrefixUse {
  std::uint64_t items = 0;
  std::uint64_t bytes = 0;
  std::uint64_t memory = 0;
  std::uint64_t evictions = 0;

  bool operator==(const PrefixUse&) const = default;
};

// Of the prefix of this key.
inline PrefixUse UseOf(const Cache& cache, std::string_view key) {
  const PrefixRow row = cache.prefixes().Find(key);
  PrefixUse use;
  cache.ForEachLane([&](const Lane& lane) {
    const Counters<PrefixStat>& counters = lane.prefixes->rows[row];
    use.items += counters.value(PrefixStat::kItems);
    use.bytes += counters.value(PrefixStat::kBytes);
    use.memory += counters.value(PrefixStat::kMemory);
    use.evictions += counters.value(PrefixStat::kEvictions);
  });
  return use;
}

}  // namespace larder::slab
