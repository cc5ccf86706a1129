// Replies that are still to be sent: as pieces of memory, and as a copy for a slow client.
#pragma once

#include <sys/uio.h>

#include <array>
#include <climits>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "server/reply/output.h"
#include "slab/check.h"

namespace larder::server {

// The most pieces of memory that are sent with one system call.
inline constexpr std::size_t kPiecesPerSendMax = 64;
using OutputPieces = std::array<iovec, kPiecesPerSendMax>;
static_assert(kPiecesPerSendMax <= IOV_MAX);

// UnsentOutput presents a slice of an output as the pieces of memory to send, with the pinned
// values in their places, and shortens the slice by what was sent.
//
// Threads: one worker.
// Owns:    nothing. What it is constructed from must outlive it, and the bytes must not move
//          meanwhile.
class UnsentOutput {
 public:
  // `slice` is a part of `data` and `pins`. Consume() changes it and the pins.
  UnsentOutput(const char* data, std::vector<PinnedValue>& pins, OutputSlice& slice)
      : data_(data), pins_(pins), slice_(slice) {
    LARDER_ASSERT(slice.begin <= slice.end);
    LARDER_ASSERT(slice.pins_begin <= slice.pins_end && slice.pins_end <= pins.size());
  }

  // Whether everything was sent.
  bool is_empty() const { return slice_.is_empty(); }
  // The next pieces to send, in order, stored in `room`: at least one unless is_empty(), and not
  // necessarily all. They are valid until the next call of Consume().
  std::span<const iovec> Pieces(OutputPieces& room) const {
    // Most replies have no pinned value and are one piece.
    if (slice_.pins_begin != slice_.pins_end) [[unlikely]]
      return PiecesWithPins(room);
    room[0] = {const_cast<char*>(data_ + slice_.begin), slice_.end - slice_.begin};
    return {room.data(), 1};
  }
  // Takes the first `bytes` bytes of the pieces off: they were sent. A value is unpinned when its
  // last byte is taken off. REQUIRES: the last call of Pieces() returned at least so many bytes.
  void Consume(std::size_t bytes);

 private:
  // Pieces() for a slice with pinned values.
  std::span<const iovec> PiecesWithPins(OutputPieces& room) const;

  const char* const data_;
  std::vector<PinnedValue>& pins_;
  OutputSlice& slice_;
};

// PendingOutput stores the replies that a client did not take at once, until it does. The worker's
// Output is used again in the next turn, so the bytes are copied; pinned values stay in the cache.
//
// Threads: one worker.
// Owns:    a copy of the bytes, and the pins, which it takes over.
class PendingOutput {
 public:
  // Copies the bytes of `slice` and takes its pins out of `pins`, whose elements stay, empty.
  PendingOutput(const char* data, std::vector<PinnedValue>& pins, const OutputSlice& slice);

  // What is still to be sent; consuming it changes this object. Must not outlive it.
  UnsentOutput unsent() { return {bytes_.data(), pins_, slice_}; }
  // The memory that this object occupies, in bytes, without the pinned items. Constant.
  std::size_t held_bytes() const {
    return sizeof *this + bytes_.capacity() + pins_.capacity() * sizeof(PinnedValue);
  }

 private:
  std::string bytes_;
  std::vector<PinnedValue> pins_;
  // The part of bytes_ and pins_ that is still to be sent.
  OutputSlice slice_;
};

}  // namespace larder::server
