// ExtraPins: pins of items whose headers cannot count more of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "slab/item/item.h"
#include "slab/sync/mutex.h"

namespace larder::slab {

// ExtraPins counts pins by item. The header of an item has one byte for its references, and a value
// that is being sent to hundreds of slow clients has more. The pins beyond that are counted here.
// Together they hold one reference in the item's header.
//
// Threads:    internally locked. The caller may have a bucket locked; no other lock is taken while
//             its mutex is held.
// Owns:       only the counts.
// Invariants: an item has an entry if and only if at least one of its pins is counted here. A
//             pinned item keeps its chunk, so its ItemRef names it while there is an entry.
class ExtraPins {
 public:
  // Adds a pin. REQUIRES: the item's bucket is locked, and its header has at most kRefsMax - 1
  // references besides that of the item's entry.
  void Add(ItemRef ref, Item& item) noexcept LARDER_EXCLUDES(mutex_);
  // Removes a pin. Returns true if that was the last reference to the item: then the caller frees
  // it.
  [[nodiscard]] bool Remove(ItemRef ref, Item& item) noexcept LARDER_EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  // By item: its pins that are counted here, at least 1.
  std::unordered_map<ItemRef, std::uint32_t> counts_ LARDER_GUARDED_BY(mutex_);
};

}  // namespace larder::slab
