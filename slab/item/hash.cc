#include "slab/item/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace larder::slab {
namespace {

// Up to this length XXH3 uses short code; longer keys need another algorithm.
constexpr std::size_t kShortBytesMax = 128;

// Not inlined: inlined, it makes every short key pay for saving registers.
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
