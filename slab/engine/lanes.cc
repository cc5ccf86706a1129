#include "slab/engine/lanes.h"

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
  if (item_bytes_tracked_ != 0) {
    lane.sizes = std::vector<Counter>(SizeStep(item_bytes_tracked_) + 1);
  }
  return lane;
}

void Lanes::ForEach(const std::function<void(const Lane&)>& fn) const {
  const MutexLock lock(mutex_);
  for (const Lane& lane : lanes_) fn(lane);
}

}  // namespace larder::slab
