#include "slab/engine/extra_pins.h"

#include "slab/check.h"

namespace larder::slab {

// The reference that an entry holds in the item's header is added and given up under the mutex,
// together with the entry. If it were given up later, the next entry of the item could add another
// one, for which the header has no room.

void ExtraPins::Add(ItemRef ref, Item& item) noexcept {
  // The header may have room again by now, because other threads give their references up without a
  // lock. An entry does no harm then.
  const MutexLock lock(mutex_);
  if (counts_[ref]++ == 0) item.AddReference();
}

bool ExtraPins::Remove(ItemRef ref, Item& item) noexcept {
  const MutexLock lock(mutex_);
  const auto entry = counts_.find(ref);
  LARDER_CHECK(entry != counts_.end());
  if (--entry->second != 0) return false;
  counts_.erase(entry);
  return item.DropReference();
}

}  // namespace larder::slab
