#include "slab/engine/item_handle.h"

namespace larder::slab {

ItemHandle Pins::Add(Item& item) noexcept {
  LARDER_ASSERT(item.is_linked());
  const ItemRef ref = classes_.arena().RefOf(&item);
  // References are added only with the bucket locked, so the header's count cannot overflow here.
  // The last reference that it can count is reserved for all pins in extra_pins_.
  const bool is_extra = item.refs.load(std::memory_order_relaxed) >= kRefsMax - 1;
  if (is_extra) [[unlikely]] {
    extra_pins_.Add(ref, item);
  } else {
    item.AddReference();
  }
  return {this, ref, is_extra};
}

void Pins::Remove(ItemRef ref, bool is_extra) noexcept {
  Item& item = classes_.arena().At(ref);
  const bool is_last = is_extra ? extra_pins_.Remove(ref, item) : item.DropReference();
  // The item was unlinked meanwhile, and this was its last reference.
  if (is_last) classes_.Free(ref);
}

ItemHandle& ItemHandle::operator=(ItemHandle&& other) noexcept {
  if (this != &other) {
    if (pins_ != nullptr) pins_->Remove(ref_, is_extra_);
    pins_ = std::exchange(other.pins_, nullptr);
    ref_ = other.ref_;
    is_extra_ = other.is_extra_;
  }
  return *this;
}

ItemHandle::~ItemHandle() {
  if (pins_ != nullptr) pins_->Remove(ref_, is_extra_);
}

ReservedItem::~ReservedItem() {
  if (classes_ != nullptr) classes_->Free(ref_);
}

}  // namespace larder::slab
