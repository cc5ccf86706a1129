// How a cache uses its memory: which items are evicted first, and whether pages move.
#pragma once

#include <cstdint>

namespace larder::slab {

// How items are chosen for eviction.
enum class EvictionPolicy : std::uint8_t {
  // Two segments, second chances, and ghosts; a hit moves nothing.
  kSegmented,
  // The strict order of last use; a hit moves its item to the front.
  kLru,
};

// When pages move between classes to where they bring more hits. The numbers are those of
// memcached's slab_automove. In any case a class that finds nothing to evict gets a page.
enum class PageMoves : std::uint8_t {
  // Not at all.
  kOff = 0,
  // When a class would have clearly more hits.
  kOn = 1,
  // As kOn, but on less evidence.
  kEager = 2,
};

}  // namespace larder::slab
