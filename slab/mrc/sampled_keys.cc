#include "slab/mrc/sampled_keys.h"

#include <algorithm>

namespace larder::slab {

SampledKeys::SampledKeys()
    : keys_(std::make_unique<SampledKey[]>(kKeysMax)),
      buckets_(std::make_unique<SampledKeyId[]>(kBuckets)) {
  std::fill_n(buckets_.get(), kBuckets, kNoSampledKey);
  for (std::size_t i = 0; i + 1 < kKeysMax; ++i) {
    keys_[i].next_in_bucket = static_cast<SampledKeyId>(i + 1);
  }
}

SampledKeyId SampledKeys::Find(std::uint64_t hash) const {
  SampledKeyId id = BucketOf(hash);
  while (id != kNoSampledKey && At(id).hash != hash) id = At(id).next_in_bucket;
  return id;
}

SampledKeyId SampledKeys::Add(std::uint64_t hash) {
  LARDER_ASSERT(!is_full());
  LARDER_ASSERT(Find(hash) == kNoSampledKey);
  const SampledKeyId id = free_;
  SampledKey& key = At(id);
  free_ = key.next_in_bucket;
  SampledKeyId& first = BucketOf(hash);
  key = SampledKey{};
  key.hash = hash;
  key.next_in_bucket = first;
  first = id;
  ++count_;
  return id;
}

void SampledKeys::Remove(SampledKeyId id) {
  SampledKey& key = At(id);
  LARDER_ASSERT(key.holders == 0);
  SampledKeyId* link = &BucketOf(key.hash);
  while (*link != id) link = &At(*link).next_in_bucket;
  *link = key.next_in_bucket;
  key.next_in_bucket = free_;
  free_ = id;
  --count_;
}

}  // namespace larder::slab
