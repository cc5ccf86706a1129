// SampledKeys: the keys that the simulations know.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "slab/check.h"
#include "slab/item/expiry.h"

namespace larder::slab {

// The sizes of memory that are simulated.
inline constexpr std::size_t kSimulatedSizes = 8;

// The number of a key in SampledKeys.
using SampledKeyId = std::uint16_t;
inline constexpr SampledKeyId kNoSampledKey = 0xffff;

// A key of the sample, with its place in the queues of all simulations that hold it: a cache line.
struct alignas(64) SampledKey {
  std::uint64_t hash = 0;
  // What its item takes of the memory for items.
  std::uint32_t bytes = 0;
  Expiry expiry;
  // The next key of the same bucket.
  SampledKeyId next_in_bucket = kNoSampledKey;
  // A bit for each size that holds the item; 0: the entry is free, or about to be.
  std::uint8_t holders = 0;
  // By size: the codes of EvictionState, and the neighbours in the queue.
  std::array<std::uint8_t, kSimulatedSizes> states{};
  std::array<SampledKeyId, kSimulatedSizes> newer{};
  std::array<SampledKeyId, kSimulatedSizes> older{};

  bool IsIn(std::size_t size) const { return (holders >> size & 1U) != 0; }
};
static_assert(sizeof(SampledKey) == 64);

// SampledKeys is a table of kKeysMax keys at most, found by their hashes.
//
// Threads:    one thread.
// Owns:       the table: half a megabyte.
// Invariants: an entry is in the bucket of its hash or in the list of free ones.
class SampledKeys {
 public:
  // The size of the sample.
  static constexpr std::size_t kKeysMax = 8192;

  SampledKeys();

  // The key with this hash; kNoSampledKey if there is none.
  SampledKeyId Find(std::uint64_t hash) const;
  // Adds a key that is not there. REQUIRES: !is_full().
  SampledKeyId Add(std::uint64_t hash);
  // Removes a key. REQUIRES: no simulation holds it.
  void Remove(SampledKeyId id);

  SampledKey& At(SampledKeyId id) {
    LARDER_ASSERT(id < kKeysMax);
    return keys_[id];
  }
  const SampledKey& At(SampledKeyId id) const {
    LARDER_ASSERT(id < kKeysMax);
    return keys_[id];
  }
  std::size_t count() const { return count_; }
  bool is_full() const { return count_ == kKeysMax; }

  // Calls fn(id) for each key; fn may remove that key.
  template <class Fn>
  void ForEach(const Fn& fn) {
    for (std::size_t i = 0; i < kKeysMax; ++i) {
      if (keys_[i].holders != 0) fn(static_cast<SampledKeyId>(i));
    }
  }

 private:
  static constexpr std::size_t kBuckets = kKeysMax;

  // Sampled hashes are small numbers, so their low bits are used.
  SampledKeyId& BucketOf(std::uint64_t hash) const { return buckets_[hash % kBuckets]; }

  const std::unique_ptr<SampledKey[]> keys_;
  // The first key of each bucket.
  const std::unique_ptr<SampledKeyId[]> buckets_;
  // The first free entry; the others follow by next_in_bucket.
  SampledKeyId free_ = 0;
  std::size_t count_ = 0;
};

}  // namespace larder::slab
