// The counters that each worker keeps of commands, connections and buffers.
#pragma once

#include <cstdint>

#include "slab/sync/counter.h"

namespace larder::server {

// The counters, with the names that `stats` prints. Hits are counted by slab class, see
// slab/lane.h.
enum class Stat : std::uint8_t {

  // Connections that were accepted and given to a worker, and listeners.
  kTotalConnections,
  // Connections that were refused because of -c.
  kRejectedConnections,
  // Commands by kind; kCmdTouch also counts gat.
  kCmdFlush,
  kCmdTouch,
  kCmdMeta,
  // Keys of get, gets and mg that were not found. Misses of gat and gats are kTouchMisses.
  kGetMisses,
  // The reason why each of these keys was not found; the seven add up to kGetMisses.
  kGetMissesEvicted,
  kGetMissesExpired,
  kGetMissesDeleted,
  kGetMissesFlushed,
  kGetMissesTooLarge,
  kGetMissesNoMemory,
  kGetMissesNotSeen,
  // Retrieval commands that found an item which had expired, or which a flush_all had invalidated.
  kGetExpired,
  kGetFlushed,
  // Commands that found no item.
  kDeleteMisses,
  kIncrMisses,
  kDecrMisses,
  kCasMisses,
  kTouchMisses,
  // Stores that failed because of the size of the item, or because no memory could be had.
  kStoreTooLarge,
  kStoreNoMemory,
  // Attempts to authenticate, and those that failed.
  kAuthCmds,
  kAuthErrors,
  // Connections that were closed: idle ones, and those whose value did not arrive.
  kIdleKicks,
  kUploadKicks,
  kUploadWaits,
  // Commands of the cluster configuration, and lists of nodes that could not be used.
  kCmdConfigGet,
  kCmdConfigSet,
  kConfigErrors,
  // Bytes received from and sent to clients.
  kBytesRead,
  kBytesWritten,
  // Turns that ended although the connection had more requests.
  kConnYields,
  // How often, and for how many microseconds, the server did not accept connections.
  kListenDisabled,
  kTimeInListenDisabledUs,
  // The number of enumerators above.
  kCount,
};

// Memory that a worker holds for its connections, in bytes, as `stats memory` prints it.
enum class Buffer : std::uint8_t {
  // The input area and the batch of requests, which all connections of the worker share.
  kInput,
  // The part of the output area that was ever used.
  kOutput,
  // The connection objects.
  kConnections,
  // Input that is kept for the next turn of a connection.
  kTails,
  // Replies that sockets would not take; without the values, which stay in their items.
  kPending,
  // The number of enumerators above.
  kCount,
};
// One gauge for each enumerator of Buffer.
using BufferGauges = slab::Counters<Buffer>;

// The counters and gauges of one worker.
//
// Threads: as slab::Counter: the worker writes, any thread reads.
struct WorkerCounters : slab::Counters<Stat> {
  // Not affected by `stats reset`.
  BufferGauges buffers;
};

}  // namespace larder::server
