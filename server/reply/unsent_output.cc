#include "server/reply/unsent_output.h"

#include <algorithm>
#include <utility>

#include "slab/check.h"

namespace larder::server {
namespace {

// The offset at which the plain bytes of `slice` are interrupted: that of the next pinned value, or
// the end of the slice if no value is left.
std::size_t StopAt(const std::vector<PinnedValue>& pins, const OutputSlice& slice) {
  return slice.pins_begin < slice.pins_end ? pins[slice.pins_begin].at : slice.end;
}

}  // namespace

std::span<const iovec> UnsentOutput::PiecesWithPins(OutputPieces& room) const {
  // A copy of the slice is shortened by each piece that is added. The slice itself changes only
  // when bytes were really sent.
  OutputSlice rest = slice_;
  std::size_t count = 0;
  const auto add = [&](const void* at, std::size_t bytes) {
    room[count++] = {const_cast<void*>(at), bytes};
  };
  while (count < room.size()) {
    // Plain bytes up to the next pinned value go first.
    const std::size_t stop = StopAt(pins_, rest);
    if (rest.begin < stop) {
      add(data_ + rest.begin, stop - rest.begin);
      rest.begin = stop;
      continue;
    }
    if (rest.pins_begin == rest.pins_end) break;
    // A value may lie in several chunks of the cache, and so be several pieces.
    slab::ValueCursor value = pins_[rest.pins_begin].value;
    while (count < room.size() && !value.piece().empty()) {
      add(value.piece().data(), value.piece().size());
      value.Advance(value.piece().size());
    }
    // `room` is full in the middle of the value.
    if (!value.piece().empty()) break;
    ++rest.pins_begin;
  }
  LARDER_ASSERT((count == 0) == is_empty());
  return {room.data(), count};
}

void UnsentOutput::Consume(std::size_t bytes) {
  if (slice_.pins_begin == slice_.pins_end) [[likely]] {
    LARDER_ASSERT(bytes <= slice_.end - slice_.begin);
    slice_.begin += bytes;
    return;
  }
  // Pieces were sent in the order of PiecesWithPins(): plain bytes up to the next pin, then its
  // value.
  while (bytes > 0) {
    const std::size_t stop = StopAt(pins_, slice_);
    if (slice_.begin < stop) {
      const std::size_t taken = std::min(bytes, stop - slice_.begin);
      slice_.begin += taken;
      bytes -= taken;
      continue;
    }
    LARDER_ASSERT(slice_.pins_begin < slice_.pins_end);
    PinnedValue& pin = pins_[slice_.pins_begin];
    const std::size_t taken = std::min(bytes, pin.value.piece().size());
    LARDER_ASSERT(taken > 0);
    pin.value.Advance(taken);
    bytes -= taken;
    if (pin.value.piece().empty()) {
      // The value is sent: from here on the cache may reuse its memory.
      pin.item = slab::ItemHandle();
      ++slice_.pins_begin;
    }
  }
}

PendingOutput::PendingOutput(const char* data, std::vector<PinnedValue>& pins,
                             const OutputSlice& slice)
    : bytes_(data + slice.begin, slice.end - slice.begin) {
  for (std::size_t i = slice.pins_begin; i < slice.pins_end; ++i) {
    LARDER_ASSERT(pins[i].at >= slice.begin && pins[i].at <= slice.end);
    // The offsets of the pins refer to the copy of the bytes from here on.
    pins_.push_back(
        {.at = pins[i].at - slice.begin, .item = std::move(pins[i].item), .value = pins[i].value});
  }
  slice_ = {.begin = 0, .end = bytes_.size(), .pins_begin = 0, .pins_end = pins_.size()};
}

}  // namespace larder::server
