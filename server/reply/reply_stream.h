// Replies that are produced piece by piece.
#pragma once

#include <cstdint>

#include "server/reply/output.h"
#include "slab/lane.h"

namespace larder::server {

// ReplyStream produces the rest of a reply that is too large, or takes too long, to be produced at
// once. Between two pieces the client may take its time to read, and other clients are served. A
// connection has one stream at a time; its further requests wait until the stream ends.
//
// Threads: one worker.
class ReplyStream {
 public:
  // The size in bytes at which a piece ends. A piece may exceed it by what one step appends.
  static constexpr std::size_t kPieceBytes = 64 * 1024;

  // What the caller has to do after a call of Continue().
  enum class Progress : std::uint8_t {
    // A piece was appended and there is more: call again when the piece was sent.
    kMore,
    // Nothing was appended, because the content is not ready. Call again after
    // TurnHost::WakeStreams() was called.
    kWaits,
    // The reply is complete: destroy the stream.
    kEnded,
  };

  virtual ~ReplyStream() = default;

  // Appends the next piece to `output`. `lane` is the calling worker's lane of the cache. REQUIRES:
  // the last call did not return kEnded.
  [[nodiscard]] virtual Progress Continue(slab::Lane& lane, Output& output) = 0;
  // Whether the client gets no other replies any more: what it sends meanwhile is thrown away
  // instead of waiting for the end of the stream, which is that of the connection.
  virtual bool replaces_requests() const { return false; }
};

}  // namespace larder::server
