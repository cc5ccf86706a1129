#include "slab/engine/extra_pins.h"

#include "slab/check.h"

namespace larder::slab {

// The header's reference comes and goes under the mutex, with the entry: were it given up later,
// the next entry of the item could take a reference that the header has no room for.

void ExtraPins::Add(ItemRef ref, Item& item) noexcept {
  LARDER_ASSERT(item.refs.load(std::memory_order_relaxed) >= kRefsMax - 1);
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
