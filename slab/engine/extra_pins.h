// Pins of items whose headers can count no more of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "slab/item/item.h"
#include "slab/sync/mutex.h"

namespace larder::slab {

// ExtraPins counts pins by item. An item's header has one byte for its references; a value that
// hundreds of slow readers are being sent has more. Those beyond are counted here, and all of an
// item's together hold one reference of its header.
//
// Threads:    internally locked; a bucket may be locked before, nothing is locked under it.
// Owns:       nothing but the counts.
// Invariants: an item has an entry if and only if at least one of its pins is counted here. A
//             pinned item keeps its chunk, so its ItemRef names it as long as the entry is there.
class ExtraPins {
 public:
  // One more. REQUIRES: the item's bucket is locked, and its header has at most kRefsMax - 1
  // references but for that of its entry.
  void Add(ItemRef ref, Item& item) noexcept LARDER_EXCLUDES(mutex_);
  // One less. True if it was the last reference to the item at all: the caller frees it.
  [[nodiscard]] bool Remove(ItemRef ref, Item& item) noexcept LARDER_EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  std::unordered_map<ItemRef, std::uint32_t> counts_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::slab
