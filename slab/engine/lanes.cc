#include "slab/engine/lanes.h"

#include <memory>
#include <vector>

#include "slab/check.h"

namespace larder::slab {

Lane& Lanes::Add() {
  const MutexLock lock(mutex_);
  LARDER_ASSERT(lanes_.size() < UINT32_MAX);
  // A lane's number is its place in the list; lanes are never removed.
  const auto number = static_cast<std::uint32_t>(lanes_.size());
  Lane& lane = lanes_.emplace_back();
  lane.number = number;
  if (options_.item_bytes_tracked != 0) {
    lane.sizes = std::vector<Counter>(SizeStep(options_.item_bytes_tracked) + 1);
  }
  if (options_.counts_prefixes) lane.prefixes = std::make_unique<PrefixCounters>();
  return lane;
}

void Lanes::ForEach(const std::function<void(const Lane&)>& fn) const {
  const MutexLock lock(mutex_);
  for (const Lane& lane : lanes_) fn(lane);
}

}  // namespace larder::slab
