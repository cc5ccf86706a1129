// What each worker counts of commands and connections.
#pragma once

#include <cstdint>

#include "slab/counter.h"

namespace larder::server {

// Names as in `stats`; hits are counted by slab class, see slab/lane.h.
enum class Stat : std::uint8_t {
  kTotalConnections,
  kRejectedConnections,
  kCmdFlush,
  kCmdTouch,
  kCmdMeta,
  kGetMisses,
  // By what became of the key; together they are kGetMisses.
  kGetMissesEvicted,
  kGetMissesExpired,
  kGetMissesDeleted,
  kGetMissesFlushed,
  kGetMissesTooLarge,
  kGetMissesNoMemory,
  kGetMissesNotSeen,
  kGetExpired,
  kGetFlushed,
  kDeleteMisses,
  kIncrMisses,
  kDecrMisses,
  kCasMisses,
  kTouchMisses,
  kStoreTooLarge,
  kStoreNoMemory,
  kAuthCmds,
  kAuthErrors,
  kIdleKicks,
  kCmdConfigGet,
  kCmdConfigSet,
  kConfigErrors,
  kBytesRead,
  kBytesWritten,
  kConnYields,
  kListenDisabled,
  kTimeInListenDisabledUs,
  kCount,
};

// Threads: as slab::Counter.
using WorkerCounters = slab::Counters<Stat>;

}  // namespace larder::server
