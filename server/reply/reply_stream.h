// Replies that are made piece by piece.
#pragma once

#include <cstdint>

#include "server/reply/output.h"
#include "slab/lane.h"

namespace larder::server {

// ReplyStream is the rest of a reply that is not made in one go, so that its client may take as
// long as it likes and others are served in between. A connection has one at a time; its requests
// wait until the stream ends.
//
// Threads: one worker.
class ReplyStream {
 public:
  // A piece ends with the step that reaches this.
  static constexpr std::size_t kPieceBytes = 64 * 1024;

  enum class Progress : std::uint8_t {
    kMore,   // Call again when what was appended is on its way.
    kWaits,  // Nothing was appended: call again when the worker was told to
             // (TurnHost::WakeStreams).
    kEnded,
  };

  virtual ~ReplyStream() = default;

  // Appends the next piece.
  [[nodiscard]] virtual Progress Continue(slab::Lane& lane, Output& output) = 0;
};

}  // namespace larder::server
