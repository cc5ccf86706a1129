// Walks over a value, piece by piece.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "slab/check.h"
#include "slab/item/item.h"
#include "slab/memory/arena.h"

namespace larder::slab {

// A place in a value that may lie in several chunks.
//
// Threads: one worker, who holds a pin or owns the item; made under the lock of the item's bucket.
class ValueCursor {
 public:
  ValueCursor() = default;
  ValueCursor(const Arena& arena, Item& item)
      : arena_(&arena),
        data_(item.value()),
        left_(item.value_bytes_here()),
        next_(item.first_continuation()) {}

  // The rest of the current piece; empty at the end of the value. Lives as long as the item.
  std::span<std::byte> piece() const { return {data_, left_}; }
  // REQUIRES: bytes <= piece().size().
  void Advance(std::size_t bytes) {
    LARDER_ASSERT(bytes <= left_);
    data_ += bytes;
    left_ -= static_cast<std::uint32_t>(bytes);
    while (left_ == 0 && next_ != kNoItem) {
      Item& chunk = arena_->At(next_);
      data_ = chunk.value();
      left_ = chunk.value_bytes_here();
      next_ = chunk.next;
    }
  }
  // Copies `bytes` to here, piece by piece, and stands behind them. REQUIRES: there is room.
  void Write(std::string_view bytes);

 private:
  const Arena* arena_ = nullptr;
  std::byte* data_ = nullptr;
  std::uint32_t left_ = 0;
  ItemRef next_ = kNoItem;
};

}  // namespace larder::slab
