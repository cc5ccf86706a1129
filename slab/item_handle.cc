#include "slab/item_handle.h"

#include "slab/cache.h"

namespace larder::slab {

ItemHandle& ItemHandle::operator=(ItemHandle&& other) noexcept {
  if (this != &other) {
    if (cache_ != nullptr) cache_->Unpin(ref_, is_extra_);
    cache_ = std::exchange(other.cache_, nullptr);
    ref_ = other.ref_;
    is_extra_ = other.is_extra_;
  }
  return *this;
}

ItemHandle::~ItemHandle() {
  if (cache_ != nullptr) cache_->Unpin(ref_, is_extra_);
}

ReservedItem::~ReservedItem() {
  if (cache_ != nullptr) cache_->FreeChunks(ref_);
}

ValueCursor ReservedItem::value() const { return {*cache_->arena_, cache_->arena_->At(ref_)}; }
std::uint32_t ReservedItem::value_bytes() const { return cache_->arena_->At(ref_).value_bytes(); }
void ReservedItem::SetMark(ItemMark mark) {
  cache_->arena_->At(ref_).size_and_state |= static_cast<std::uint32_t>(mark);
}
HashedKey ReservedItem::key() const { return {cache_->arena_->At(ref_).key(), hash_}; }

}  // namespace larder::slab
