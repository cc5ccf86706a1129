#include "slab/engine/magazines.h"

#include <cstdint>

namespace larder::slab {

void Magazines::Empty(SlabClass& c, Magazine& magazine, const Index::Guard* held) const {
  // First the evictions that were done without the class's lock are counted, and leave their
  // ghosts.
  EvictionQueue& queue = c.queue();
  for (const ReclaimedItem& reclaimed : magazine.TakeReclaimed()) {
    c.stats().Count(reclaimed);
    if (!reclaimed.is_dead) queue.NoteEviction(reclaimed.state, reclaimed.hash);
  }
  for (std::uint32_t slot = 0; slot < Magazine::kSlots; ++slot) {
    const Magazine::Taken taken = held != nullptr ? magazine.TakeOwn(slot) : magazine.TakeAny(slot);
    if (taken.ref == kNoItem) continue;
    // Stocked chunks are free again, leaving items are queued as their entry says, and arriving
    // ones are queued as new items.
    const Magazine::Entry& entry = taken.entry;
    if (classes_.arena().At(taken.ref).use() == ChunkUse::kStocked) {
      c.Free(taken.ref);
    } else if (entry.queue_entry != QueueEntry::kNew) {
      queue.Return(taken.ref, entry.queue_entry, entry.segment);
    } else {
      // A key with a ghost belongs into main. That changes the item's eviction state, for which its
      // bucket must be locked. If another thread holds the bucket, the item goes to probation.
      const bool came_back = queue.NoteArrival(entry.hash);
      const Index::Guard guard = came_back ? index_.TryLock(entry.hash, held) : Index::Guard();
      queue.EnterArrived(taken.ref, guard ? Segment::kMain : Segment::kProbation);
    }
  }
}

}  // namespace larder::slab
