#include "slab/engine/miss_review.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "slab/eviction/missed_keys.h"

namespace larder::slab {

void MissReview::Note(std::uint64_t hash, const RemovalRecord& removal, Lane& lane) const {
  if (removal.reason != RemovalReason::kEvicted) return;
  if (!lane.missed_keys->Count()) return;
  // The record may be that of another key, but its class is one of ours.
  SlabClass& c = parts_.classes.ById(removal.class_id);
  std::optional<Ghost> ghost;
  {
    const MutexLock lock(c.mutex());
    ghost = c.queue().GhostOf(hash);
    // It may have been evicted so lately that its ghost waits in a magazine.
    if (!ghost && !c.magazines().empty() && lane.missed_keys->MayEmpty()) {
      parts_.magazines.EmptyAll(c);
      ghost = c.queue().GhostOf(hash);
    }
  }
  if (!ghost) return;
  lane.missed_keys->Add({.hash = hash, .ghost = *ghost, .class_id = removal.class_id});
}

void MissReview::Review() {
  // The queues of the lanes live as long as the cache. No bucket may be locked while the list of
  // lanes is.
  std::vector<MissedKeys*> all;
  parts_.lanes.ForEach([&](const Lane& other) { all.push_back(other.missed_keys.get()); });
  std::uint64_t counted = 0;
  std::uint64_t sampled = 0;
  std::vector<MissedKey> due;
  for (MissedKeys* const missed_keys : all) {
    counted += missed_keys->counted();
    sampled += missed_keys->sampled();
    missed_keys->BeginRound();
    while (const auto missed = missed_keys->Take(kDelayRounds)) due.push_back(*missed);
  }
  if (due.empty()) return;
  // How many misses each of the sample stands for.
  const std::uint64_t weight =
      (counted - counted_) / std::max<std::uint64_t>(1, sampled - sampled_);
  counted_ = counted;
  sampled_ = sampled;
  for (const MissedKey& missed : due) {
    if (IsPresent(missed.hash)) continue;
    SlabClass& c = parts_.classes.ById(missed.class_id);
    const MutexLock lock(c.mutex());
    // A key that came back to this class has lost this ghost, though it may have been evicted
    // again.
    const auto ghost = c.queue().GhostOf(missed.hash);
    if (!ghost || ghost->segment != missed.ghost.segment || ghost->stamp != missed.ghost.stamp) {
      continue;
    }
    c.queue().NoteMissed(*ghost, std::max<std::uint64_t>(1, weight));
  }
}

bool MissReview::IsPresent(std::uint64_t hash) const {
  const Index::BucketLock guard(parts_.index, hash);
  const Arena& arena = parts_.classes.arena();
  return static_cast<bool>(
      guard.Find(hash, [&](ItemRef ref) { return parts_.hash(arena.At(ref).key()) == hash; }));
}

}  // namespace larder::slab
