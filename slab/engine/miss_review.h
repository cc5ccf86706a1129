// MissReview: what the cache learns from misses of evicted keys that are not stored again.
#pragma once

#include <cstdint>

#include "slab/classes/slab_classes.h"
#include "slab/engine/lanes.h"
#include "slab/engine/magazines.h"
#include "slab/eviction/removal_records.h"
#include "slab/index/index.h"
#include "slab/item/hash.h"
#include "slab/lane.h"

namespace larder::slab {

// MissReview tells the queues of the classes which evicted keys were wanted. A key that comes back
// tells its queue by itself, when it is stored. But sessions, and whatever else is not kept
// elsewhere, are never stored again after a miss: so a miss is reviewed some time later, and if
// there is no such key and it still has its ghost, nobody has stored it.
//
// Threads:    Note: any thread, with its own lane. Review: one thread at a time. Both with no
//             bucket and no class locked.
// Owns:       nothing; its parts must outlive it.
class MissReview {
 public:
  // A client stores what it has missed before so many reviews, 50 to 100 ms. One that takes longer
  // tells the queue twice.
  static constexpr std::uint32_t kDelayRounds = 2;

  // The parts of the cache that it uses.
  struct Parts {
    Index& index;
    const SlabClasses& classes;
    const Magazines& magazines;
    const Lanes& lanes;
    KeyHasher hash;
  };
  explicit MissReview(const Parts& parts) : parts_(parts) {}

  // Notes that a get of a removed key found nothing. `removal` is the record of the key.
  void Note(std::uint64_t hash, const RemovalRecord& removal, Lane& lane) const;
  // Reviews the misses of all lanes that are old enough. Call it 20 times a second.
  void Review();

 private:
  // True if there is an item with a key of this hash, dead or alive.
  bool IsPresent(std::uint64_t hash) const LARDER_EXCLUDES(kBucketLocked);

  const Parts parts_;
  // Misses of all lanes until the last review, all and those of the sample. For the reviewing
  // thread.
  std::uint64_t counted_ = 0;
  std::uint64_t sampled_ = 0;
};

}  // namespace larder::slab
