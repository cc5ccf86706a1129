// MiniatureQueue: the eviction of a cache of another size, simulated for the keys of the sample.
#pragma once

#include <cstddef>
#include <cstdint>

#include "slab/check.h"
#include "slab/eviction/eviction_queue.h"
#include "slab/eviction/ghosts.h"
#include "slab/eviction/promotion_rule.h"
#include "slab/item/eviction_state.h"
#include "slab/mrc/sampled_keys.h"
#include "slab/policies.h"

namespace larder::slab {

// MiniatureQueue does with sampled keys what EvictionQueue does with items, in both policies:
// probation, main, ghosts, and a share of probation that adapts; see there. It differs in two ways.
// Its candidates are never busy. And it is not told of misses that nobody stores again.
//
// Threads:    one thread.
// Owns:       the ghosts. The keys lie in SampledKeys, which must outlive it.
// Invariants: a key is in one of the two lists if and only if its bit in SampledKey::holders is
//             set; bytes() is the sum of their bytes.
// Source:     Waldspurger, Saemundsson, Ahmad and Park, Cache Modeling and Optimization using
//             Miniature Simulations, USENIX ATC 2017.
class MiniatureQueue {
 public:
  // `size` is the number of the simulation.
  MiniatureQueue(SampledKeys& keys, std::size_t size) : keys_(keys), size_(size) {}

  // Counts a use of a key. REQUIRES: it is in this queue.
  void Hit(SampledKeyId id);
  // Enters a key that was stored. REQUIRES: it is not in this queue.
  void Insert(SampledKeyId id);
  // Takes a key out, which leaves no ghost. REQUIRES: it is in this queue.
  void Remove(SampledKeyId id);
  // Takes the key out that is the next to be evicted, and returns it. REQUIRES: count() > 0.
  SampledKeyId Evict(const Now& now);
  // Follows a change of the bytes of a key that is in this queue.
  void Resize(std::uint32_t old_bytes, std::uint32_t new_bytes) {
    LARDER_ASSERT(bytes_ >= old_bytes);
    bytes_ += new_bytes;
    bytes_ -= old_bytes;
  }
  // Changes the policy for what happens from now on; no key moves.
  void set_policy(EvictionPolicy policy) { policy_ = policy; }

  // Follow a growth by this share of the new size, and tell which ghosts are near: as
  // EvictionQueue does.
  void NoteGrowth(double share) { share_ += (EvictionQueue::kShareStart - share_) * share; }
  void set_near_share(double share) { near_share_ = share; }
  // What a PageBalancer compares: keys that came back as near ghosts, bytes that were evicted, and
  // hits. They only grow.
  std::uint64_t near_ghosts() const { return near_ghosts_; }
  std::uint64_t evicted_bytes() const { return evicted_bytes_; }
  std::uint64_t hits() const { return hits_; }

  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t count() const { return probation_.count + main_.count; }
  double probation_share() const { return share_; }

  // For tests: walks over both lists, and aborts if they are broken.
  void CheckInvariants() const;

 private:
  struct List {
    SampledKeyId newest = kNoSampledKey;
    SampledKeyId oldest = kNoSampledKey;
    std::uint64_t count = 0;
  };

  List& At(Segment segment) { return segment == Segment::kMain ? main_ : probation_; }
  EvictionState StateOf(SampledKeyId id) const {
    return EvictionState::FromCode(keys_.At(id).states[size_]);
  }
  // The tail of the segment that has to make room.
  SampledKeyId Candidate() const;
  // Sets the state of a key, and enters it at the head of the segment of that state.
  void Push(SampledKeyId id, EvictionState state);
  void Take(SampledKeyId id);
  void NoteEviction(SampledKeyId id);
  void MoveShare(double items);
  void CheckList(const List& list, Segment segment) const;
  // Ghosts tell keys apart by the high bits of a hash, which sampled ones have in common.
  static std::uint64_t GhostHash(std::uint64_t hash) { return hash * 0x9e37'79b9'7f4a'7c15U; }

  SampledKeys& keys_;
  const std::size_t size_;
  std::uint64_t bytes_ = 0;
  List probation_;
  List main_;
  double share_ = EvictionQueue::kShareStart;
  double near_share_ = 0;
  std::uint64_t near_ghosts_ = 0;
  std::uint64_t evicted_bytes_ = 0;
  std::uint64_t hits_ = 0;
  EvictionPolicy policy_ = EvictionPolicy::kSegmented;
  ProbationClock clock_;
  PromotionRule promotion_rule_;
  Ghosts ghosts_;
};

}  // namespace larder::slab
