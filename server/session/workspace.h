// What the sessions of a worker share.
#pragma once

#include <memory>

#include "server/input/input_area.h"
#include "server/metrics/counters.h"
#include "server/reply/output.h"
#include "server/session/batch.h"
#include "server/shared.h"
#include "slab/lane.h"

namespace larder::server {

class BinaryExecutor;
class TextExecutor;

// TurnHost is the part of a worker that sessions call: it runs their turns.
//
// Threads: one worker; WakeStreams(): any thread.
class TurnHost {
 public:
  // Whether other clients are ready to be served. Called in the middle of a turn; it looks for new
  // events.
  virtual bool AreOthersReady() = 0;
  // Has the reply streams that wait continue soon. Any thread may call it, as long as the host
  // lives.
  virtual void WakeStreams() = 0;

 protected:
  // Hosts are not destroyed through this interface.
  ~TurnHost() = default;
};

// Workspace has the buffers and executors that the sessions of a worker use one after the other.
// Between two turns it stores nothing of a session but replies that are not sent yet. So an
// idle client needs no buffer of its own.
//
// Threads: one worker.
// Owns:    the buffers and executors. What its constructor takes must outlive it.
struct Workspace {
  // Adds a lane to the cache and a set of counters to the statistics. `turn_host` may still be
  // under construction: it is not called.
  Workspace(Shared& all, TurnHost& turn_host);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  // The statistics of buffers of this worker.
  BufferGauges& buffers() { return counters.buffers; }

  Shared& shared;
  TurnHost& host;
  // The worker's state inside the cache; belongs to the cache.
  slab::Lane& lane;
  // The worker's counters; they belong to the statistics.
  WorkerCounters& counters;
  // Where the session whose turn it is receives and parses.
  InputArea input;
  // The replies of all sessions that were served and not flushed.
  Output output;
  // The requests that are executed at the moment.
  Batch batch;
  // The commands of the text protocol, including the meta commands.
  const std::unique_ptr<TextExecutor> executor;
  const std::unique_ptr<BinaryExecutor> binary_executor;
};

}  // namespace larder::server
