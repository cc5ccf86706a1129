#include "slab/engine/linker.h"

#include <cstdint>

#include "slab/check.h"

namespace larder::slab {

void Linker::Link(Index::Guard& guard, const LockedItem& old, ReservedItem& item, Lane& lane) {
  const std::uint64_t hash = item.key().hash;
  LARDER_ASSERT(guard.Holds(hash));
  // From here on the chunk is no longer owned by the reserved item.
  const ItemRef ref = item.Release();
  Item& fresh = classes_.arena().At(ref);
  LARDER_ASSERT(fresh.use() == ChunkUse::kOwned);
  LARDER_ASSERT(!old || old->key() == fresh.key());
  SlabClass& c = classes_.Of(ref);
  if (!old) {
    guard.Insert(hash, ref, lane.number);
    ++lane.items_unreported;
    const MutexLock lock(c.mutex());
    c.queue().Insert(ref, hash);
  } else {
    Replace(guard, old, ref, lane);
  }
  liveness_.CountLinked(fresh, c.id(), lane);
  // The expiry was counted when the client gave it. The value may have arrived long after that, so
  // it is counted again: the sweep must not miss the item.
  if (fresh.expiry().is_set()) lane.expiries.Add();
}

void Linker::Replace(Index::Guard& guard, const LockedItem& old, ItemRef ref, Lane& lane) {
  SlabClass& c = classes_.Of(ref);
  const ItemRef old_ref = old.ref();
  SlabClass& old_class = classes_.Of(old_ref);
  // The old item leaves the counts, its place in the index, and its queue. It keeps its chunk as
  // long as it is pinned.
  liveness_.CountUnlinked(*old, old_class.id(), Unlinking::kRemoved, lane);
  guard.Replace(old.slot(), ref);
  if (&old_class == &c) {
    const MutexLock lock(c.mutex());
    c.queue().Replace(old_ref, ref);
  } else {
    // In another class: one class is locked after the other, never both.
    const EvictionState state = old->eviction_state();
    {
      const MutexLock lock(old_class.mutex());
      old_class.queue().Remove(old_ref);
    }
    const MutexLock lock(c.mutex());
    c.queue().InsertAs(ref, state);
  }
  if (old->DropReference()) classes_.Free(old_ref);
}

}  // namespace larder::slab
