// `stats` and its subcommands.
#pragma once

#include <cstdint>
#include <deque>
#include <string_view>
#include <vector>

#include "protocol/binary_packet.h"
#include "server/counters.h"
#include "server/reply/output.h"
#include "server/shared.h"
#include "slab/cache.h"
#include "slab/lane.h"
#include "slab/mutex.h"

namespace larder::server {

// Stats sums what workers and lanes count, and writes it as memcached does. A reset remembers the
// sums of that moment and subtracts them: no counter has two writers.
//
// Threads: internally locked.
// Owns:    the workers' counters.
class Stats {
 public:
  explicit Stats(Shared& shared) : shared_(shared) {}

  // Counters for one worker (or the main thread); they live as long as this.
  WorkerCounters& AddWorker() LARDER_EXCLUDES(mutex_);

  // Answers `stats <arguments>`, but for what AskForCachedump.
  void Report(std::string_view arguments, slab::Lane& lane, Output& output) LARDER_EXCLUDES(mutex_);
  // Answers the binary command with this key. False, with no answer, if there is no such group.
  bool ReportBinary(std::string_view key, const protocol::Echo& echo, slab::Lane& lane,
                    Output& output) LARDER_EXCLUDES(mutex_);

 private:
  using ClassSums = slab::Counters<slab::ClassStat>::Values;
  struct Sums {
    WorkerCounters::Values commands{};
    std::vector<ClassSums> classes;  // By ClassId; [0]: stores that reached no class.
    std::uint64_t total_items = 0;
    std::uint64_t sweep_passes = 0;
    // Gauges: a reset leaves them.

    std::uint64_t command(Stat stat) const { return commands[static_cast<std::size_t>(stat)]; }
    std::uint64_t in_class(slab::ClassId id, slab::ClassStat stat) const {
      return classes[id][static_cast<std::size_t>(stat)];
    }
    std::uint64_t over_classes(slab::ClassStat stat) const;
  };
  class Writer;

  Sums Gather() const LARDER_REQUIRES(mutex_);
  // As Gather, less what was there at the last reset.
  Sums GatherSinceReset() const LARDER_EXCLUDES(mutex_);
  void Reset() LARDER_EXCLUDES(mutex_);

  void General(slab::Lane& lane, Writer& writer);
  void Settings(Writer& writer);
  void Items(slab::Lane& lane, Writer& writer);
  void Slabs(slab::Lane& lane, Writer& writer);
  void Sizes(Writer& writer);
  void Memory(Writer& writer) LARDER_EXCLUDES(mutex_);
  void Connections(slab::Lane& lane, Writer& writer);
  void Detail(std::string_view what, Output& output);
  bool DetailBinary(std::string_view what, Writer& writer);

  Shared& shared_;
  mutable Mutex mutex_;
  std::deque<WorkerCounters> workers_ LARDER_GUARDED_BY(mutex_);
  Sums at_reset_ LARDER_GUARDED_BY(mutex_);
};

// `stats <arguments>` asks for a list of keys, which server/cachedump.h makes.
bool AskForCachedump(std::string_view arguments);

}  // namespace larder::server
