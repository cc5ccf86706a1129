// A linked item whose bucket is locked.
#pragma once

#include "slab/check.h"
#include "slab/ids.h"
#include "slab/index/index.h"
#include "slab/item/item.h"
#include "slab/memory/arena.h"

namespace larder::slab {

// LockedItem is an item that a guard has found in its bucket: it stays linked, and may be read and
// changed, as long as the guard is held. It is made from a slot, and only a guard gives slots.
//
// Threads: one worker. Valid until its bucket chain is changed: an eviction from the same bucket
//          may move its slot, though never the item itself.
class LockedItem {
 public:
  LockedItem() = default;  // None.
  LockedItem(const Index::Slot& slot, const Arena& arena)
      : slot_(slot), item_(slot ? &arena.At(slot.ref()) : nullptr) {
    LARDER_ASSERT(item_ == nullptr || item_->is_linked());
  }

  explicit operator bool() const { return item_ != nullptr; }
  // REQUIRES (all): there is one.
  Item& operator*() const {
    LARDER_ASSERT(item_ != nullptr);
    return *item_;
  }
  Item* operator->() const { return &**this; }
  ItemRef ref() const { return slot_.ref(); }
  const Index::Slot& slot() const { return slot_; }

 private:
  Index::Slot slot_;
  Item* item_ = nullptr;
};

}  // namespace larder::slab
