// What each worker counts of commands, connections and buffers.
#pragma once

#include <cstdint>

#include "slab/sync/counter.h"

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
  kUploadKicks,
  kUploadWaits,
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

// Memory that a worker holds for its connections, in bytes, as `stats memory` shows it.
enum class Buffer : std::uint8_t {
  kInput,        // The area and the batch that all its connections share.
  kOutput,       // What was ever used of the area for replies.
  kConnections,  // The connections themselves.
  kTails,        // Input kept for the next turn.
  kPending,      // Replies that sockets would not take; not the values that are pinned.
  kCount,
};
using BufferGauges = slab::Counters<Buffer>;

// Threads: as slab::Counter.
struct WorkerCounters : slab::Counters<Stat> {
  BufferGauges buffers;  // No reset changes them.
};

}  // namespace larder::server
