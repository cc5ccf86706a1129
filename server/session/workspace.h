// What the sessions of a worker share.
#pragma once

#include "server/command/binary_executor.h"
#include "server/command/text_executor.h"
#include "server/input/input_area.h"
#include "server/metrics/counters.h"
#include "server/reply/output.h"
#include "server/session/batch.h"
#include "server/shared.h"
#include "slab/lane.h"

namespace larder::server {

// What runs the turns of sessions.
class TurnHost {
 public:
  // In the middle of a turn: other clients are ready to be served.
  virtual bool AreOthersReady() = 0;
  // Has the streams that wait go on. Any thread may call it, as long as the host lives.
  virtual void WakeStreams() = 0;

 protected:
  ~TurnHost() = default;
};

// Workspace has the buffers and the executors that the sessions of a worker use one after the
// other. Between two turns nothing of a session is in it but replies that are not sent yet.
//
// Threads: one worker.
// Owns:    the buffers. What its constructor takes must outlive it.
struct Workspace {
  // Adds a lane to the cache and a set of counters to the statistics.
  Workspace(Shared& all, TurnHost& turn_host);
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  BufferGauges& buffers() { return counters.buffers; }

  Shared& shared;
  TurnHost& host;
  slab::Lane& lane;
  WorkerCounters& counters;
  InputArea input;
  Output output;
  Batch batch;
  TextExecutor executor;
  BinaryExecutor binary_executor;
};

}  // namespace larder::server
