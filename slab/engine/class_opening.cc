#include "slab/engine/class_opening.h"

#include <cstddef>

#include "slab/check.h"

namespace larder::slab {

SlabClass* ClassOpening::Substitute(SlabClass& c) {
  const Open open = Find(c);
  if (open.id == 0) return nullptr;
  LARDER_ASSERT(open.id > c.id());
  const MutexLock lock(mutex_);
  Closed& closed = closed_[c.id()];
  // Another class is used from now on, or what was counted has been evicted.
  if (closed.substitute != open.id || open.evictions - closed.evictions_before > open.items) {
    closed = {.substitute = open.id, .evictions_before = open.evictions, .stores = 0};
  }
  if (++closed.stores > c.chunks_per_page()) {
    closed = {};
    return nullptr;
  }
  return &classes_.ById(open.id);
}

// Locks one class after the other.
ClassOpening::Open ClassOpening::Find(SlabClass& c) const {
  if (!IsInForce()) return {};
  {
    const MutexLock lock(c.mutex());
    if (c.page_count() != 0) return {};
  }
  for (std::size_t id = c.id() + std::size_t{1}; id <= classes_.count(); ++id) {
    SlabClass& larger = classes_.ById(id);
    if (larger.chunk_bytes() > kSizeFactorMax * c.chunk_bytes()) return {};
    const MutexLock lock(larger.mutex());
    if (larger.page_count() == 0) continue;
    return {.id = larger.id(),
            .evictions = larger.queue().evictions(),
            .items = larger.queue().count()};
  }
  return {};
}

}  // namespace larder::slab
