#include "slab/engine/miss_review.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace larder::slab {

void MissReview::Note(std::uint64_t hash, const RemovalRecord& removal, Lane& lane) {
  if (removal.reason != RemovalReason::kEvicted) return;
  // The record may be that of another key, but its class is one of ours.
  if (lane.missed_keys->Count()) Sample(hash, removal.class_id, lane);
  if (lane.missed_keys->counted() % kCountStep == 0) NoteStep();
}

void MissReview::Sample(std::uint64_t hash, ClassId class_id, Lane& lane) const {
  SlabClass& c = parts_.classes.ById(class_id);
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
  lane.missed_keys->Add({.hash = hash, .ghost = *ghost, .class_id = class_id});
}

void MissReview::NoteStep() {
  const std::uint64_t told = told_.fetch_add(kCountStep, std::memory_order_relaxed) + kCountStep;
  if (told < round_ends_at_.load(std::memory_order_relaxed)) return;
  // If another thread reviews already, it ends the round.
  if (!mutex_.TryLock()) return;
  EndRound(kReviewedMax);
  mutex_.Unlock();
}

void MissReview::Review() {
  const MutexLock lock(mutex_);
  EndRound(std::numeric_limits<std::size_t>::max());
}

void MissReview::EndRound(std::size_t most) {
  round_ends_at_.store(told_.load(std::memory_order_relaxed) + RoundMisses(),
                       std::memory_order_relaxed);
  const std::uint64_t counted_before = counted_;
  const std::uint64_t sampled_before = sampled_;
  const std::vector<MissedKey> due = TakeDue(most);
  if (due.empty()) {
    // So that the next review counts what this one has not.
    counted_ = counted_before;
    sampled_ = sampled_before;
    return;
  }
  // How many misses each of the sample stands for.
  const std::uint64_t sampled = std::max<std::uint64_t>(1, sampled_ - sampled_before);
  const std::uint64_t weight = std::max<std::uint64_t>(1, (counted_ - counted_before) / sampled);
  for (const MissedKey& missed : due) Tell(missed, weight);
}

std::vector<MissedKey> MissReview::TakeDue(std::size_t most) {
  // The queues of the lanes live as long as the cache. No bucket may be locked while the list of
  // lanes is.
  std::vector<MissedKeys*> all;
  parts_.lanes.ForEach([&](const Lane& other) { all.push_back(other.missed_keys.get()); });
  counted_ = 0;
  sampled_ = 0;
  std::vector<MissedKey> due;
  for (MissedKeys* const missed_keys : all) {
    counted_ += missed_keys->counted();
    sampled_ += missed_keys->sampled();
    missed_keys->BeginRound();
    while (due.size() < most) {
      const auto missed = missed_keys->Take(kDelayRounds);
      if (!missed) break;
      due.push_back(*missed);
    }
  }
  return due;
}

void MissReview::Tell(const MissedKey& missed, std::uint64_t weight) const {
  if (IsPresent(missed.hash)) return;
  SlabClass& c = parts_.classes.ById(missed.class_id);
  const MutexLock lock(c.mutex());
  // A key that came back to this class has lost this ghost, though it may have been evicted again.
  const auto ghost = c.queue().GhostOf(missed.hash);
  if (!ghost || ghost->segment != missed.ghost.segment || ghost->stamp != missed.ghost.stamp) {
    return;
  }
  c.queue().NoteMissed(*ghost, weight);
}

std::uint64_t MissReview::RoundMisses() const {
  std::uint64_t items = 0;
  parts_.classes.ForEach([&](SlabClass& c) {
    const MutexLock lock(c.mutex());
    items += c.queue().count();
  });
  return std::max(kRoundMin, items / kRoundDivisor);
}

bool MissReview::IsPresent(std::uint64_t hash) const {
  const Index::BucketLock guard(parts_.index, hash);
  const Arena& arena = parts_.classes.arena();
  return static_cast<bool>(
      guard.Find(hash, [&](ItemRef ref) { return parts_.hash(arena.At(ref).key()) == hash; }));
}

}  // namespace larder::slab
