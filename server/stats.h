// Stats, the replies to `stats` and its subcommands.
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

// Stats reads what workers, lanes and all other parts of the server count, and replies with the
// rows of server/metrics/. A reset remembers the sums of that moment, and later replies subtract
// them, so no counter has a second writer.
//
// Threads: internally locked.
// Owns:    the counters of the workers.
class Stats {
 public:
  explicit Stats(Shared& shared) : shared_(shared) {}

  // Adds counters for one worker or the main thread. They live as long as this object.
  WorkerCounters& AddWorker() LARDER_EXCLUDES(mutex_);

  // Returns the whole reply to `stats <arguments>`; an error line if there is no such list. `lane`
  // belongs to the calling thread. REQUIRES: StreamedListOf(arguments) is kNone.
  std::string Report(std::string_view arguments, slab::Lane& lane) LARDER_EXCLUDES(mutex_);
  // Returns all reply packets to the stat command with this key; empty if there is no such list, or
  // if it is not allowed.
  std::string ReportBinary(std::string_view key, const protocol::Echo& echo, slab::Lane& lane)
      LARDER_EXCLUDES(mutex_);

  // What clients call a list, and the function that writes it.
  struct List;

 private:
  // Returns the sums of all counters since the start.
  CounterSums Gather() const LARDER_REQUIRES(mutex_);
  // Returns the sums of all counters since the last reset.
  CounterSums GatherSinceReset() const LARDER_EXCLUDES(mutex_);
  // Sets all counters and statistics to 0, as far as clients can see.
  void Reset() LARDER_EXCLUDES(mutex_);

  // Takes a sample for `stats` without arguments.
  ServerSample SampleServer(slab::Lane& lane) const;

  // Each writes the rows of one list. They are const, but Census::CleanAndDescribeClasses
  // removes expired items.
  void General(slab::Lane& lane, StatWriter& writer) const;
  void Settings(slab::Lane& lane, StatWriter& writer) const;
  void Items(slab::Lane& lane, StatWriter& writer) const;
  void Slabs(slab::Lane& lane, StatWriter& writer) const;
  void Sizes(slab::Lane& lane, StatWriter& writer) const;
  void Memory(slab::Lane& lane, StatWriter& writer) const LARDER_EXCLUDES(mutex_);
  void Mrc(slab::Lane& lane, StatWriter& writer) const;
  void Prefixes(slab::Lane& lane, StatWriter& writer) const LARDER_EXCLUDES(mutex_);
  void Connections(slab::Lane& lane, StatWriter& writer) const;
  void Nothing(slab::Lane& lane, StatWriter& writer) const;
  // Handle `stats detail`, in the text and in the binary protocol. DetailBinary returns false if
  // `what` is not known or not allowed.
  std::string Detail(std::string_view what);
  bool DetailBinary(std::string_view what, StatWriter& writer);

  Shared& shared_;
  // Guards all below.
  mutable Mutex mutex_;
  // A deque, because references to its elements are kept.
  std::deque<WorkerCounters> workers_ LARDER_GUARDED_BY(mutex_);
  // The sums at the last reset; without classes before the first one.
  CounterSums at_reset_ LARDER_GUARDED_BY(mutex_);
};

// The lists that are as long as clients make them: the worker that was asked streams them, see
// server/command/. All others are made as a whole.
enum class StreamedList : std::uint8_t { kNone, kCachedump, kDetailDump };

// Returns which of them `stats <arguments>` asks for.
StreamedList StreamedListOf(std::string_view arguments);

}  // namespace larder::server
