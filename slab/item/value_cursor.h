// ValueCursor: reads or writes a value that may lie in several chunks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "slab/check.h"
#include "slab/item/item.h"
#include "slab/memory/arena.h"

namespace larder::slab {

// ValueCursor is a position in the value of an item. The value may lie in several chunks, which the
// cursor visits piece by piece.
//
// Threads:    one worker, which has pinned the item, owns it, or has its bucket locked. The cursor
//             must be made while the item's bucket is locked, or by the owner.
// Owns:       nothing; the item and the arena must outlive it.
class ValueCursor {
 public:
  ValueCursor() = default;
  ValueCursor(const Arena& arena, Item& item)
      : arena_(&arena),
        data_(item.value()),
        left_(item.value_bytes_here()),
        next_(item.first_continuation()) {}

  // The rest of the current piece; empty only at the end of the value. The view is valid as long as
  // the item keeps its chunks, which a pin guarantees.
  std::span<std::byte> piece() const { return {data_, left_}; }
  // Moves on by `bytes`, to the next piece if this one ends. REQUIRES: bytes <= piece().size().
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
  // Copies `bytes` to the current position, piece by piece, and moves behind them. Aborts if they
  // do not fit. REQUIRES: the rest of the value is at least as long.
  void Write(std::string_view bytes);

 private:
  const Arena* arena_ = nullptr;
  // Bytes of the current piece that are left.
  std::byte* data_ = nullptr;
  std::uint32_t left_ = 0;
  // The next continuation; kNoItem: this piece is the last one.
  ItemRef next_ = kNoItem;
};

}  // namespace larder::slab
