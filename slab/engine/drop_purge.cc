#include "slab/engine/drop_purge.h"

#include <array>
#include <cstddef>
#include <span>
#include <thread>

#include "slab/check.h"
#include "slab/engine/locked_item.h"

namespace larder::slab {
namespace {

// Lets a worker run that waits for this core after so many buckets: some 400 items.
constexpr std::uint32_t kBucketsPerTurn = 64;

}  // namespace

void DropPurge::Step(Lane& lane) {
  if (parts_.drops.count() == 0) return;
  if (next_bucket_ == 0) cutoff_ = parts_.drops.newest_cutoff();
  for (std::uint32_t items = 0; items < kStepItems;) {
    // Each bucket counts, so that a step over an empty index ends.
    items += 1 + PurgeBucket(next_bucket_, lane);
    if (++next_bucket_ % kBucketsPerTurn == 0) std::this_thread::yield();
    // The index may have grown: then its new buckets are searched too.
    if (next_bucket_ < parts_.index.bucket_count()) continue;
    next_bucket_ = 0;
    parts_.drops.Forget(cutoff_);
    break;
  }
  parts_.unlinker.ReportCount(lane);
}

// Removing an item moves others of its bucket, so the dead are collected first.
std::uint32_t DropPurge::PurgeBucket(std::uint32_t number, Lane& lane) {
  const Arena& arena = parts_.classes.arena();
  std::uint32_t items = 0;
  std::array<ItemRef, 2 * kBucketSlots> dead;
  std::size_t count = dead.size();
  Index::Guard guard = parts_.index.LockBucket(number);
  guard.AssertHeld();
  guard.ForEach([&](ItemRef ref) { __builtin_prefetch(&arena.At(ref)); });
  // Another round is needed only if there were more than the array has room for.
  while (count == dead.size()) {
    count = 0;
    items = 0;
    guard.ForEach([&](ItemRef ref) {
      ++items;
      if (count < dead.size() && parts_.liveness.IsDead(arena.At(ref), lane)) dead[count++] = ref;
    });
    for (const ItemRef ref : std::span(dead).first(count)) {
      const LockedItem item(guard.Find(parts_.hash(arena.At(ref).key()), ref), arena);
      LARDER_CHECK(item);
      (void)parts_.unlinker.UnlinkDead(guard, item, lane);
    }
  }
  return items;
}

}  // namespace larder::slab
