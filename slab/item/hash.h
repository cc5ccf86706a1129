// The hash of a key, and a key together with its hash.
#pragma once

#include <cstdint>
#include <string_view>

namespace larder::slab {

// A key with its hash. The hash is computed once and passed on. `bytes` is a view: the owner of the
// key must keep it alive.
struct HashedKey {
  std::string_view bytes;
  std::uint64_t hash = 0;
};

// The XXH3-64 hash of a key. The seed is chosen per process, so that an attacker cannot choose keys
// that fall into one bucket.
std::uint64_t HashKey(std::string_view key, std::uint64_t seed) noexcept;

// KeyHasher is HashKey with the seed of one cache. Threads: immutable value.
class KeyHasher {
 public:
  explicit KeyHasher(std::uint64_t seed) : seed_(seed) {}
  std::uint64_t operator()(std::string_view key) const noexcept { return HashKey(key, seed_); }

 private:
  std::uint64_t seed_;
};

}  // namespace larder::slab
