// Replies that are still to be sent.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "server/reply/output.h"

namespace larder::server {

inline constexpr std::size_t kPiecesPerSendMax = 64;
using OutputPieces = std::array<iovec, kPiecesPerSendMax>;

// UnsentOutput reads a slice of an output as the pieces of memory to send, pinned values among
// them, and shortens it by what was sent.
//
// Threads: one worker.
// Owns:    nothing. What it is made of must outlive it, and its bytes must not move meanwhile.
class UnsentOutput {
 public:
  UnsentOutput(const char* data, std::vector<PinnedValue>& pins, OutputSlice& slice)
      : data_(data), pins_(pins), slice_(slice) {}

  bool is_empty() const { return slice_.is_empty(); }
  // The first pieces, in `room`; at least one if it is not empty.
  std::span<const iovec> Pieces(OutputPieces& room) const {
    if (slice_.pins_begin != slice_.pins_end) [[unlikely]]
      return PiecesWithPins(room);
    room[0] = {const_cast<char*>(data_ + slice_.begin), slice_.end - slice_.begin};
    return {room.data(), 1};
  }
  // So many bytes of the pieces were sent. Unpins the values that are sent whole.
  void Consume(std::size_t bytes);

 private:
  std::span<const iovec> PiecesWithPins(OutputPieces& room) const;

  const char* const data_;
  std::vector<PinnedValue>& pins_;
  OutputSlice& slice_;
};

// What a client did not take: kept by its connection until it does.
//
// Threads: one worker.
// Owns:    a copy of the bytes; the pins, taken from `pins`.
class PendingOutput {
 public:
  PendingOutput(const char* data, std::vector<PinnedValue>& pins, const OutputSlice& slice);

  UnsentOutput unsent() { return {bytes_.data(), pins_, slice_}; }
  std::size_t held_bytes() const {
    return sizeof *this + bytes_.capacity() + pins_.capacity() * sizeof(PinnedValue);
  }

 private:
  std::string bytes_;
  std::vector<PinnedValue> pins_;
  OutputSlice slice_;
};

}  // namespace larder::server
