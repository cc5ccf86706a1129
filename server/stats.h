// `stats` and its subcommands.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "protocol/binary/binary_packet.h"
#include "server/metrics/counters.h"
#include "server/metrics/server_sample.h"
#include "server/metrics/stat_writer.h"
#include "server/reply/output.h"
#include "server/shared.h"
#include "slab/lane.h"
#include "slab/sync/mutex.h"

namespace larder::server {

// Stats reads what workers, lanes and all other parts of the server count, and answers with the
// rows of server/metrics/. A reset remembers the sums of that moment and subtracts them: no counter
// has two writers.
//
// Threads: internally locked.
// Owns:    the workers' counters.
class Stats {
 public:
  explicit Stats(Shared& shared) : shared_(shared) {}

  // Counters for one worker (or the main thread); they live as long as this.
  WorkerCounters& AddWorker() LARDER_EXCLUDES(mutex_);

  // The answer to `stats <arguments>`. REQUIRES: !AskForCachedump(arguments).
  std::string Report(std::string_view arguments, slab::Lane& lane) LARDER_EXCLUDES(mutex_);
  // The answer to the binary command with this key. Empty if there is no such list.
  std::string ReportBinary(std::string_view key, const protocol::Echo& echo, slab::Lane& lane)
      LARDER_EXCLUDES(mutex_);

  struct List;  // What clients call a list, and what writes it.

 private:
  CounterSums Gather() const LARDER_REQUIRES(mutex_);
  // As Gather, less what was there at the last reset.
  CounterSums GatherSinceReset() const LARDER_EXCLUDES(mutex_);
  void Reset() LARDER_EXCLUDES(mutex_);

  ServerSample SampleServer(slab::Lane& lane) const;

  void General(slab::Lane& lane, StatWriter& writer) const;
  void Settings(slab::Lane& lane, StatWriter& writer) const;
  void Items(slab::Lane& lane, StatWriter& writer) const;
  void Slabs(slab::Lane& lane, StatWriter& writer) const;
  void Sizes(slab::Lane& lane, StatWriter& writer) const;
  void Memory(slab::Lane& lane, StatWriter& writer) const LARDER_EXCLUDES(mutex_);
  void Connections(slab::Lane& lane, StatWriter& writer) const;
  void Nothing(slab::Lane& lane, StatWriter& writer) const;
  std::string Detail(std::string_view what);
  bool DetailBinary(std::string_view what, StatWriter& writer);

  Shared& shared_;
  mutable Mutex mutex_;
  std::deque<WorkerCounters> workers_ LARDER_GUARDED_BY(mutex_);
  CounterSums at_reset_ LARDER_GUARDED_BY(mutex_);
};

// `stats <arguments>` asks for a list of keys, which server/cachedump.h makes.
bool AskForCachedump(std::string_view arguments);

}  // namespace larder::server
