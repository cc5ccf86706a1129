#include "slab/engine/magazines.h"

#include <cstdint>

namespace larder::slab {

void Magazines::Empty(SlabClass& c, Magazine& magazine, const Index::Guard* held) const {
  EvictionQueue& queue = c.queue();
  for (const ReclaimedItem& reclaimed : magazine.TakeReclaimed()) {
    c.stats().Count(reclaimed);
    if (!reclaimed.is_dead) queue.NoteEviction(reclaimed.segment, reclaimed.hash);
  }
  for (std::uint32_t slot = 0; slot < Magazine::kSlots; ++slot) {
    const Magazine::Taken taken = held != nullptr ? magazine.TakeOwn(slot) : magazine.TakeAny(slot);
    if (taken.ref == kNoItem) continue;
    const Magazine::Entry& entry = taken.entry;
    if (classes_.arena().At(taken.ref).use() == ChunkUse::kStocked) {
      c.Free(taken.ref);
    } else if (entry.queue_entry != QueueEntry::kNew) {
      queue.Return(taken.ref, entry.queue_entry, entry.segment);
    } else {
      const bool came_back = queue.NoteArrival(entry.hash);
      const Index::Guard guard = came_back ? index_.TryLock(entry.hash, held) : Index::Guard();
      queue.EnterArrived(taken.ref, static_cast<bool>(guard));
    }
  }
}

}  // namespace larder::slab
