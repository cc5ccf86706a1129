// The hash of a key.
#pragma once

#include <cstdint>
#include <string_view>

namespace larder::slab {

// A key with its hash: hashed once, passed down.
struct HashedKey {
  std::string_view bytes;
  std::uint64_t hash = 0;
};

// XXH3-64. The seed is drawn per process, so that nobody can choose keys that fall into one bucket.
std::uint64_t HashKey(std::string_view key, std::uint64_t seed) noexcept;

}  // namespace larder::slab
