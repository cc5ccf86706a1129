// PageWalk: a place in a walk over all chunks of a cache.
#pragma once

#include <cstdint>

#include "slab/ids.h"

namespace larder::slab {

// PageWalk is a place in a walk over the chunks of all pages, in the order of their addresses,
// which is the fastest order to read memory in. See Walker::Sweep and Walker::Snapshot.
//
// It names a place and locks nothing: pages may be taken and returned during the walk, and an item
// that moves may be met twice or not at all.
//
// Threads:    one worker.
struct PageWalk {
  // The page of the next chunk to look at.
  PageIndex page = 0;
  // The number of that chunk in its page.
  std::uint32_t chunk = 0;

  // Goes on to the next page.
  void LeavePage() {
    ++page;
    chunk = 0;
  }
};

// The most chunks that one step of a walk looks at. It locks a class meanwhile.
inline constexpr std::uint32_t kWalkChunksMax = 64;

}  // namespace larder::slab
