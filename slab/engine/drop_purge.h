// DropPurge: searches for the items that drops have killed, so that drops can be forgotten.
#pragma once

#include <cstdint>

#include "slab/classes/slab_classes.h"
#include "slab/engine/drops.h"
#include "slab/engine/liveness.h"
#include "slab/engine/unlinker.h"
#include "slab/index/index.h"
#include "slab/item/hash.h"
#include "slab/lane.h"

namespace larder::slab {

// DropPurge searches the index while there are drops, bucket by bucket, and removes the items that
// are dead. When it has looked into every bucket, the drops from before its beginning cover nothing
// any more: an item stays in its bucket, or a split moves it to one with a higher number, which
// comes later; and a write that begins later draws a later number. The sweep could not be sure: an
// item may move to an address that it has passed.
//
// Threads:    one thread, with no bucket and no class locked.
// Owns:       nothing; its parts must outlive it.
class DropPurge {
 public:
  // Items of a step: with 20 steps a second, as many in a second as a hurried sweep looks at.
  static constexpr std::uint32_t kStepItems = 25'000;

  // The parts of the cache that it uses.
  struct Parts {
    Index& index;
    const SlabClasses& classes;
    const Liveness& liveness;
    Unlinker& unlinker;
    Drops& drops;
    const KeyHasher hash;
  };

  explicit DropPurge(const Parts& parts) : parts_(parts) {}

  // Looks at kStepItems items, or to the end of the index. Does nothing while there are no drops.
  void Step(Lane& lane);

 private:
  // Removes the dead items of a bucket. Returns how many items it has looked at.
  std::uint32_t PurgeBucket(std::uint32_t number, Lane& lane);

  const Parts parts_;
  // The next bucket of the search.
  std::uint32_t next_bucket_ = 0;
  // The cutoff of the last drop before the search began.
  std::uint64_t cutoff_ = 0;
};

}  // namespace larder::slab
