// A place on the way through all chunks.
#pragma once

#include <cstdint>

#include "slab/ids.h"

namespace larder::slab {

// PageWalk is a place in a walk over the chunks of all pages, in the order of their addresses,
// which is also how memory likes to be read. See Cache::Sweep and Cache::Snapshot.
//
// It names a place and holds nothing: pages come and go meanwhile, and an item that moves may be
// met twice or not at all.
//
// Threads: one worker.
struct PageWalk {
  PageIndex page = 0;
  std::uint32_t chunk = 0;  // Of this page, the next to look at.

  void LeavePage() {
    ++page;
    chunk = 0;
  }
};

// Chunks that one step of a walk looks at: for so long it holds a class.
inline constexpr std::uint32_t kWalkChunksMax = 64;

}  // namespace larder::slab
