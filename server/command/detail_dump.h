// The reply to `stats detail dump`: the counts of all prefixes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "server/prefix_stats.h"
#include "server/reply/output.h"
#include "server/reply/reply_stream.h"
#include "slab/lane.h"

namespace larder::server {

// DetailDump produces this list piece by piece, so that a client that does not read it costs no
// memory. Prefixes that are first counted, or forgotten, meanwhile may be listed or not.
//
// Threads: one worker.
// Owns:    its place in the table of prefixes.
class DetailDump final : public ReplyStream {
 public:
  // The size in bytes at which a piece ends: other clients of the worker wait while it is printed.
  static constexpr std::size_t kDetailPieceBytes = 16 * 1024;
  // The most steps for one piece: in a table with few prefixes they find nothing.
  static constexpr std::uint32_t kStepsPerPiece = 32;

  // `prefixes` must outlive the object.
  explicit DetailDump(const PrefixStats& prefixes) : prefixes_(prefixes) {}

  Progress Continue(slab::Lane& lane, Output& output) override;

 private:
  const PrefixStats& prefixes_;
  PrefixStats::Place place_;
};

}  // namespace larder::server
