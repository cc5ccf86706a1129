// Lanes: all lanes of a cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>

#include "slab/lane.h"
#include "slab/sync/mutex.h"

namespace larder::slab {

// Lanes makes the lanes of a cache and keeps them as long as the cache lives.
//
// Threads:    internally locked. No other lock of the cache is taken while its mutex is held.
// Owns:       the lanes.
class Lanes {
 public:
  // What each lane counts besides.
  struct Options {
    // The sizes of items up to that many bytes; 0: no sizes.
    std::size_t item_bytes_tracked = 0;
    // Items and reads by prefix.
    bool counts_prefixes = false;
  };
  explicit Lanes(const Options& options) : options_(options) {}

  bool counts_prefixes() const { return options_.counts_prefixes; }
  // Makes a lane, which lives as long as this object. REQUIRES: fewer than 2^32 lanes were made.
  Lane& Add() LARDER_EXCLUDES(mutex_);
  // Calls fn for every lane with the mutex held: fn must not call Add or ForEach.
  void ForEach(const std::function<void(const Lane&)>& fn) const LARDER_EXCLUDES(mutex_);

 private:
  const Options options_;

  mutable Mutex mutex_;
  // A deque, so that lanes keep their addresses.
  std::deque<Lane> lanes_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::slab
