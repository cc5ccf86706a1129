#include "slab/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace larder::slab {

std::uint64_t HashKey(std::string_view key, std::uint64_t seed) noexcept {
  return XXH3_64bits_withSeed(key.data(), key.size(), seed);
}

}  // namespace larder::slab
