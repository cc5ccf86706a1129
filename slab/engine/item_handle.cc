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
  return {this, ref, is_extra ? PinPlace::kExtra : PinPlace::kHeader};
}

void Pins::Remove(ItemRef ref, PinPlace place) noexcept {
  Item& item = classes_.arena().At(ref);
  const bool is_last =
      place == PinPlace::kExtra ? extra_pins_.Remove(ref, item) : item.DropReference();
  // The item was unlinked meanwhile, and this was its last reference.
  if (is_last) classes_.Free(ref);
}

ItemHandle& ItemHandle::operator=(ItemHandle&& other) noexcept {
  if (this != &other) {
    if (pins_ != nullptr) pins_->Remove(ref_, place_);
    pins_ = std::exchange(other.pins_, nullptr);
    ref_ = other.ref_;
    place_ = other.place_;
  }
  return *this;
}

ItemHandle::~ItemHandle() {
  if (pins_ != nullptr) pins_->Remove(ref_, place_);
}

ReservedItem::~ReservedItem() {
  if (classes_ != nullptr) classes_->Free(ref_);
}

}  // namespace larder::slab
