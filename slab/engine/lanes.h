// The lanes of a cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>

#include "slab/lane.h"
#include "slab/sync/mutex.h"

namespace larder::slab {

// Lanes makes the lanes of a cache and keeps them as long as it lives.
//
// Threads: internally locked; nothing of the cache is locked under its mutex.
// Owns:    the lanes.
class Lanes {
 public:
  // With item_bytes_tracked, lanes count the sizes of items up to that (0: they do not).
  explicit Lanes(std::size_t item_bytes_tracked) : item_bytes_tracked_(item_bytes_tracked) {}

  // Lives as long as this. At most 2^32 are made.
  Lane& Add() LARDER_EXCLUDES(mutex_);
  // Calls fn for every lane, under the lock.
  void ForEach(const std::function<void(const Lane&)>& fn) const LARDER_EXCLUDES(mutex_);

 private:
  const std::size_t item_bytes_tracked_;

  mutable Mutex mutex_;
  std::deque<Lane> lanes_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::slab
