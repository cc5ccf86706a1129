// LarderCache: Larder's own cache, asked as the models of other caches are.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "slab/cache.h"
#include "tests/bench/key_format.h"
#include "tests/bench/policies/policy.h"

namespace larder::bench {

// LarderCache runs the real cache in this process, with the calls that the server makes for a get
// and for a set. Sizes are those of items in bytes: kHeadBytes and the value. Its capacity is the
// memory limit, of which the chunks take more than the items do.
//
// Threads: one worker. The cache has a thread of its own that touches memory.
// Owns:    the cache.
class LarderCache final : public Policy {
 public:
  static constexpr std::size_t kKeyBytes = 20;
  // Of an item, beside its value.
  static constexpr std::uint32_t kHeadBytes = sizeof(slab::Item) + kKeyBytes;
  static constexpr std::uint32_t kValueBytesMax = 1'000'000;
  // Time is counted in requests: the background work of a cache is done 20 times a second.
  static constexpr std::uint64_t kRequestsPerTurn = 1000;
  static constexpr std::uint64_t kTurnsPerSecond = 20;

  // `options.memory_bytes` is the capacity.
  explicit LarderCache(const slab::Cache::Options& options);
  std::uint64_t used() const override { return cache_->Alive().bytes; }
  std::uint64_t items() const { return cache_->Alive().items; }
  slab::Cache& cache() { return *cache_; }

 private:
  bool Request(Key key, std::uint32_t size) override;
  bool Get(const slab::HashedKey& key);
  void Set(const slab::HashedKey& key, std::uint32_t value_bytes);
  void CountRequest();

  const KeyFormat keys_{kKeyBytes};
  const std::string values_;
  const std::unique_ptr<slab::Cache> cache_;
  slab::Lane& lane_;
  std::array<char, kKeyBytes> key_text_{};
  std::uint64_t requests_ = 0;
};

// The number of items of this size that a cache with these options holds when it is full.
std::uint64_t CountItemsOf(const slab::Cache::Options& options, std::uint32_t size);

}  // namespace larder::bench
