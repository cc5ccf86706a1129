#include "server/session/workspace.h"

#include "server/command/binary_executor.h"
#include "server/command/text_executor.h"
#include "server/stats.h"
#include "slab/cache.h"

namespace larder::server {

Workspace::Workspace(Shared& all, TurnHost& turn_host)
    : shared(all),
      host(turn_host),
      lane(all.cache.AddLane()),
      counters(all.stats.AddWorker()),
      executor(std::make_unique<TextExecutor>(all, lane, counters, output)),
      binary_executor(std::make_unique<BinaryExecutor>(all, lane, counters, output)) {
  // The input area and the batch are counted once; they never change their size.
  buffers().Add(Buffer::kInput, InputArea::kHeldBytes + sizeof(Batch));
  // The Output occupies only what was used of it, so it counts itself.
  output.CountIn(buffers().at(Buffer::kOutput));
  lane.SetNow(all.clock.now());
}

Workspace::~Workspace() = default;

}  // namespace larder::server
