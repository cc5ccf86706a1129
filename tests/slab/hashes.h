// Hashes for tests of what knows keys by their hashes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace larder::slab {

// Hashes of keys that nobody confuses.
inline std::vector<std::uint64_t> Hashes(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::uint64_t> hashes(count);
  for (std::uint64_t& hash : hashes) hash = random();
  return hashes;
}

}  // namespace larder::slab
