#include "slab/item/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace larder::slab {
namespace {

constexpr std::size_t kShortBytesMax = 128;  // XXH3 has a way of its own for longer keys.

// Apart: inlined, it costs every short key the saving of registers.
[[gnu::noinline]] std::uint64_t HashLongKey(std::string_view key, std::uint64_t seed) noexcept {
  return XXH3_64bits_withSeed(key.data(), key.size(), seed);
}

}  // namespace

std::uint64_t HashKey(std::string_view key, std::uint64_t seed) noexcept {
  if (key.size() > kShortBytesMax) [[unlikely]]
    return HashLongKey(key, seed);
  return XXH3_64bits_withSeed(key.data(), key.size(), seed);
}

}  // namespace larder::slab
