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

// HashKey with the seed of a cache. Threads: a plain value.
class KeyHasher {
 public:
  explicit KeyHasher(std::uint64_t seed) : seed_(seed) {}
  std::uint64_t operator()(std::string_view key) const noexcept { return HashKey(key, seed_); }

 private:
  std::uint64_t seed_;
};

}  // namespace larder::slab
