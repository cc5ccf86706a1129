// How a cache uses its memory: which items are evicted first, and whether pages move.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

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

// The longest prefix of a key that can have statistics and a share, in bytes.
inline constexpr std::size_t kPrefixBytesMax = 15;
// The most prefixes that can have a share.
inline constexpr std::size_t kPrefixSharesMax = 64;

// The share of the memory limit that is for the items of a prefix, while memory is short.
struct PrefixShare {
  std::string prefix = {};
  // Others take nothing from it while it has no more than this.
  std::uint32_t floor_percent = 0;
  // It makes room for others while it has more than this.
  std::uint32_t ceiling_percent = 100;

  bool operator==(const PrefixShare&) const = default;
};

}  // namespace larder::slab
