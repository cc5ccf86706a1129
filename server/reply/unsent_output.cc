#include "server/reply/unsent_output.h"

#include <algorithm>
#include <utility>

namespace larder::server {
namespace {

// Where the stretch of bytes pauses for the next pin.
std::size_t StopAt(const std::vector<PinnedValue>& pins, const OutputSlice& slice) {
  return slice.pins_begin < slice.pins_end ? pins[slice.pins_begin].at : slice.end;
}

}  // namespace

std::span<const iovec> UnsentOutput::PiecesWithPins(OutputPieces& room) const {
  OutputSlice rest = slice_;
  std::size_t count = 0;
  const auto add = [&](const void* at, std::size_t bytes) {
    room[count++] = {const_cast<void*>(at), bytes};
  };
  while (count < room.size()) {
    const std::size_t stop = StopAt(pins_, rest);
    if (rest.begin < stop) {
      add(data_ + rest.begin, stop - rest.begin);
      rest.begin = stop;
      continue;
    }
    if (rest.pins_begin == rest.pins_end) break;
    slab::ValueCursor value = pins_[rest.pins_begin].value;
    while (count < room.size() && !value.piece().empty()) {
      add(value.piece().data(), value.piece().size());
      value.Advance(value.piece().size());
    }
    if (!value.piece().empty()) break;
    ++rest.pins_begin;
  }
  return {room.data(), count};
}

void UnsentOutput::Consume(std::size_t bytes) {
  if (slice_.pins_begin == slice_.pins_end) [[likely]] {
    slice_.begin += bytes;
    return;
  }
  while (bytes > 0) {
    const std::size_t stop = StopAt(pins_, slice_);
    if (slice_.begin < stop) {
      const std::size_t taken = std::min(bytes, stop - slice_.begin);
      slice_.begin += taken;
      bytes -= taken;
      continue;
    }
    PinnedValue& pin = pins_[slice_.pins_begin];
    const std::size_t taken = std::min(bytes, pin.value.piece().size());
    pin.value.Advance(taken);
    bytes -= taken;
    if (pin.value.piece().empty()) {
      pin.item = slab::ItemHandle();
      ++slice_.pins_begin;
    }
  }
}

PendingOutput::PendingOutput(const char* data, std::vector<PinnedValue>& pins,
                             const OutputSlice& slice)
    : bytes_(data + slice.begin, slice.end - slice.begin) {
  for (std::size_t i = slice.pins_begin; i < slice.pins_end; ++i) {
    pins_.push_back(
        {.at = pins[i].at - slice.begin, .item = std::move(pins[i].item), .value = pins[i].value});
  }
  slice_ = {.begin = 0, .end = bytes_.size(), .pins_begin = 0, .pins_end = pins_.size()};
}

}  // namespace larder::server
