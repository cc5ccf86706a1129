#include "server/command/detail_dump.h"

#include <string>

#include "protocol/text/text_reply.h"
#include "slab/check.h"

namespace larder::server {

ReplyStream::Progress DetailDump::Continue(slab::Lane&, Output& output) {
  LARDER_ASSERT(!place_.is_at_end);
  std::string lines;
  for (std::uint32_t step = 0; step < kStepsPerPiece && !place_.is_at_end; ++step) {
    prefixes_.AppendLines(place_, lines);
    if (lines.size() >= kDetailPieceBytes) break;
  }
  output.Append(lines);
  if (!place_.is_at_end) return Progress::kMore;
  output.Append(protocol::kEnd);
  return Progress::kEnded;
}

}  // namespace larder::server
