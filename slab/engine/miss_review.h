// MissReview: what the cache learns from misses of evicted keys that are not stored again.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "slab/classes/slab_classes.h"
#include "slab/engine/lanes.h"
#include "slab/engine/magazines.h"
#include "slab/eviction/missed_keys.h"
#include "slab/eviction/removal_records.h"
#include "slab/ids.h"
#include "slab/index/index.h"
#include "slab/item/hash.h"
#include "slab/lane.h"
#include "slab/sync/annotations.h"
#include "slab/sync/mutex.h"

namespace larder::slab {

// MissReview tells the queues of the classes which evicted keys were wanted. A key that comes back
// tells its queue by itself, when it is stored. But sessions, and whatever else is not kept
// elsewhere, are never stored again after a miss: so a miss is reviewed some time later, and if
// there is no such key and it still has its ghost, nobody has stored it.
//
// Time is counted in rounds. A round ends 20 times a second, and also when as many evicted keys
// were missed as a part of the items: what a quick client does in a memory of stores teaches as
// much as what a slow one does. Then the thread that has counted the last miss reviews some.
//
// Threads:    internally locked. Note: with its own lane. Note and Review: with no bucket and no
//             class locked.
// Owns:       nothing; its parts must outlive it.
class MissReview {
 public:
  // A client stores what it has missed before so many rounds end, 50 to 100 ms or the misses of one
  // to two rounds. One that takes longer tells the queue twice.
  static constexpr std::uint32_t kDelayRounds = 2;
  // Misses that end a round: one for so many items of the cache, but not fewer than the least,
  // which is more than a client asks for at a time.
  static constexpr std::uint64_t kRoundDivisor = 32;
  static constexpr std::uint64_t kRoundMin = 256;
  // Misses that a review by a client's thread takes at most: some 50 microseconds.
  static constexpr std::size_t kReviewedMax = 256;

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
  void Note(std::uint64_t hash, const RemovalRecord& removal, Lane& lane) LARDER_EXCLUDES(mutex_);
  // Ends a round, and reviews the misses of all lanes that are old enough. Call it 20 times a
  // second.
  void Review() LARDER_EXCLUDES(mutex_);

 private:
  // A lane counts so many misses before it tells the others.
  static constexpr std::uint64_t kCountStep = 32;

  // Notes a miss of the sample, which was evicted from this class.
  void Sample(std::uint64_t hash, ClassId class_id, Lane& lane) const;
  // Ends the round if it had enough misses. Called for every kCountStep-th miss of a lane.
  void NoteStep() LARDER_EXCLUDES(mutex_);
  // Ends the round, and reviews `most` misses at most.
  void EndRound(std::size_t most) LARDER_REQUIRES(mutex_);
  // The misses of all lanes that are old enough, `most` at most.
  std::vector<MissedKey> TakeDue(std::size_t most) LARDER_REQUIRES(mutex_);
  // Tells the queue of its class, if the key was not stored again.
  void Tell(const MissedKey& missed, std::uint64_t weight) const;
  // The misses that end the next round.
  std::uint64_t RoundMisses() const;
  // True if there is an item with a key of this hash, dead or alive.
  bool IsPresent(std::uint64_t hash) const LARDER_EXCLUDES(kBucketLocked);

  const Parts parts_;
  // Misses that lanes have told since the start, in steps, and those at which the round ends.
  // Relaxed: they publish nothing.
  std::atomic<std::uint64_t> told_{0};
  std::atomic<std::uint64_t> round_ends_at_{kRoundMin};

  // Held by the thread that reviews. Locked before a bucket and a class.
  Mutex mutex_;
  // Misses of all lanes until the last review, all and those of the sample.
  std::uint64_t counted_ LARDER_GUARDED_BY(mutex_) = 0;
  std::uint64_t sampled_ LARDER_GUARDED_BY(mutex_) = 0;
};

}  // namespace larder::slab
