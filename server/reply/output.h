// The memory in which a worker gathers replies before they are sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "slab/check.h"
#include "slab/engine/item_handle.h"
#include "slab/item/value_cursor.h"
#include "slab/sync/counter.h"

namespace larder::server {

// PinnedValue is a large value that is sent from the cache without a copy. Its item is pinned: the
// cache neither frees nor moves it until the value was sent. Copying 100 bytes takes 5-10 ns, one
// more element for sendmsg 40-90 ns: only values of kPinBytesMin and more are worth a pin.
//
// Threads: one worker.
// Owns:    the pin.
struct PinnedValue {
  // The offset in the byte stream at which the value is inserted: the bytes in front of this offset
  // are sent first.
  std::size_t at = 0;
  // The pin; released when the whole value was sent.
  slab::ItemHandle item;
  // The part of the value that is still to be sent.
  slab::ValueCursor value;
};
// The size in bytes from which on a value is pinned. Smaller values are copied.
inline constexpr std::size_t kPinBytesMin = 8192;

// OutputSlice is a part of an output: the replies of one connection in one turn. The offsets refer
// to the area, the indexes to the list of pins; both ranges exclude their end.
//
// Threads:    a value.
// Invariants: begin <= end, and pins_begin <= pins_end.
struct OutputSlice {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t pins_begin = 0;
  std::size_t pins_end = 0;

  bool is_empty() const { return begin == end && pins_begin == pins_end; }
};

// Output is the area that a worker appends the replies of one turn to, connection after connection.
//
//   area   |replies of connection 1|replies of 2 ... |
//   pins            ^ value              ^ value          inserted at their offsets
//
// The area grows with a large reply, so offsets into it stay valid and addresses do not.
//
// Threads:    one worker.
// Owns:       the area, and the pins until they are sent or taken.
// Invariants: the offsets of the pins never decrease from one pin to the next.
class Output {
 public:
  // An empty output whose area is allocated.
  Output() { Grow(0); }

  // Makes room for `bytes` more bytes and returns the address at which they are to be written. The
  // caller then calls Commit() with the end of what it wrote. The address is valid until the next
  // call of Room(), Append() or Clear().
  char* Room(std::size_t bytes) {
    if (capacity_ - size_ < bytes) [[unlikely]]
      Grow(bytes);
    return area_.get() + size_;
  }
  // For assertions: whether the area has so many bytes at `at`, which a call of Room() returned, or
  // a place behind it.
  bool HasRoom(const char* at, std::size_t bytes) const {
    return at >= area_.get() + size_ && at + bytes <= area_.get() + capacity_;
  }
  // Adds what was written since Room() to the replies. `end` is the address behind the last byte.
  // REQUIRES: `end` lies in the room that the last call of Room() returned.
  void Commit(const char* end) {
    LARDER_ASSERT(end >= area_.get() + size_);
    LARDER_ASSERT(end <= area_.get() + capacity_);
    size_ = static_cast<std::size_t>(end - area_.get());
  }

  // Appends a copy of `text`.
  void Append(std::string_view text) {
    // An empty view may have a null pointer, which memcpy must not get.
    if (text.empty()) return;
    char* out = Room(text.size());
    std::memcpy(out, text.data(), text.size());
    Commit(out + text.size());
  }
  // Inserts a value behind all bytes that were committed so far. `value` has to stand at the
  // beginning of the value of `item`, which has `value_bytes` bytes. REQUIRES: `item` pins an item,
  // whose value is not empty.
  void AppendPinned(slab::ItemHandle item, slab::ValueCursor value, std::size_t value_bytes) {
    LARDER_ASSERT(static_cast<bool>(item));
    LARDER_ASSERT(value_bytes > 0);
    LARDER_ASSERT(value.piece().size() <= value_bytes);
    LARDER_ASSERT(pins_.empty() || pins_.back().at <= size_);
    pins_.push_back({.at = size_, .item = std::move(item), .value = value});
    AddWork(value_bytes);
  }

  // Bytes that were committed, without those of pinned values.
  std::size_t size() const { return size_; }
  // The empty slice at the end of the replies so far; and the replies since `mark` was that.
  OutputSlice EndMark() const { return {size_, size_, pins_.size(), pins_.size()}; }
  OutputSlice Since(const OutputSlice& mark) const {
    LARDER_ASSERT(mark.begin <= size_ && mark.pins_begin <= pins_.size());
    return {mark.begin, size_, mark.pins_begin, pins_.size()};
  }
  // The cost of the replies of this turn, expressed in bytes: their own bytes, those of pinned
  // values, and what AddWork() added for work that leaves no bytes in the replies. 10 KB stand for
  // about a microsecond.
  std::size_t work_bytes() const { return size_ + further_work_bytes_; }
  // Adds to work_bytes() without adding to the replies.
  void AddWork(std::size_t bytes) { further_work_bytes_ += bytes; }
  // The start of the area. Valid until the next call of Room(), Append() or Clear().
  const char* data() const { return area_.get(); }
  // The pinned values, in the order of their offsets. The caller may take the pins out of the
  // elements but may neither add nor remove elements.
  std::vector<PinnedValue>& pins() { return pins_; }

  // Forgets all replies and releases all pins: everything was sent or taken over. If a large reply
  // made the area grow, the larger area is given back to the system.
  void Clear();
  // Makes `touched_bytes` the counter of those bytes of the area that were ever used, and therefore
  // occupy memory. The counter has to outlive this object.
  void CountIn(slab::Counter& touched_bytes) { touched_counter_ = &touched_bytes; }

 private:
  // Moves the replies to a larger area with room for `bytes` more bytes.
  void Grow(std::size_t bytes);
  // Makes `bytes` the number of touched bytes, here and in the counter.
  [[gnu::cold]] void SetTouched(std::size_t bytes);

  std::unique_ptr<char[]> area_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
  // The part of work_bytes() that is not in the area: pinned values and AddWork().
  std::size_t further_work_bytes_ = 0;
  // Bytes of the area that were ever written. The area is allocated whole and never cleared, so the
  // system provides memory only for these.
  std::size_t touched_bytes_ = 0;
  // The counter of CountIn(), or null.
  slab::Counter* touched_counter_ = nullptr;
  std::vector<PinnedValue> pins_;
};

}  // namespace larder::server
