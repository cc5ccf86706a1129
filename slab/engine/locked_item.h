// LockedItem: a linked item whose bucket is locked.
#pragma once

#include "slab/check.h"
#include "slab/ids.h"
#include "slab/index/index.h"
#include "slab/item/item.h"
#include "slab/memory/arena.h"

namespace larder::slab {

// LockedItem is an item that a guard has found in its bucket. It stays linked, and may be read and
// changed, while the guard is held. It can only be made from a slot, and only a guard returns
// slots.
//
// Threads:    one worker, which holds the guard. It is valid until the guard's chain is changed: an
//             eviction from the same bucket may move the slot, though never the item itself.
class LockedItem {
 public:
  // No item.
  LockedItem() = default;
  // The item in the slot; no item if the slot is empty.
  LockedItem(const Index::Slot& slot, const Arena& arena) : slot_(slot) {
    if (!slot_) return;
    item_ = &arena.At(slot_.ref());
    LARDER_ASSERT(item_->is_linked());
  }

  // True if there is an item.
  explicit operator bool() const { return static_cast<bool>(slot_); }
  // The item. This and the following: REQUIRES: there is one.
  Item& operator*() const {
    LARDER_ASSERT(slot_);
    return *item_;
  }
  Item* operator->() const { return &**this; }
  // The reference of the item, and its place in the index.
  ItemRef ref() const { return slot_.ref(); }
  const Index::Slot& slot() const { return slot_; }

 private:
  Index::Slot slot_;
  Item* item_ = nullptr;
};

}  // namespace larder::slab
