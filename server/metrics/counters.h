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
  // flush_all, of every protocol.
  kCmdFlush,
  // Keys of touch, gat and gats.
  kCmdTouch,
  // Commands of the meta protocol.
  kCmdMeta,
  // Keys of get, gets and mg that were not found. Misses of gat and gats are kTouchMisses.
  kGetMisses,
  // Why each of these keys was not found, by its removal record; the eight add up to kGetMisses.
  // The item was evicted.
  kGetMissesEvicted,
  // The item had expired.
  kGetMissesExpired,
  // The item was deleted.
  kGetMissesDeleted,
  // A flush_all had made the item invalid.
  kGetMissesFlushed,
  // A drop had made the item invalid.
  kGetMissesDropped,
  // A store of the key was refused because of its size.
  kGetMissesTooLarge,
  // A store of the key was refused because there was no memory.
  kGetMissesNoMemory,
  // There is no record of the key.
  kGetMissesNotSeen,
  // Misses of items that were still in the cache, but had expired.
  kGetExpired,
  // Misses of items that were still in the cache, but were invalid since a flush_all.
  kGetFlushed,
  // Deletes of keys that had no item.
  kDeleteMisses,
  // incr commands that found no item.
  kIncrMisses,
  // decr commands that found no item.
  kDecrMisses,
  // cas commands that found no item.
  kCasMisses,
  // Keys of touch, gat and gats that were not found.
  kTouchMisses,
  // Stores that were refused because of the size of the item.
  kStoreTooLarge,
  // Stores that were refused because there was no memory.
  kStoreNoMemory,
  // Attempts to authenticate.
  kAuthCmds,
  // Attempts to authenticate that failed.
  kAuthErrors,
  // Connections that were closed because they were idle.
  kIdleKicks,
  // Connections that were closed because a value did not arrive.
  kUploadKicks,
  // Values that had to wait for memory while they were received.
  kUploadWaits,
  // drop, and md with the flag p.
  kCmdDrop,
  // `config get`, and gets of the cluster's key.
  kCmdConfigGet,
  // `config set`.
  kCmdConfigSet,
  // Lists of nodes that could not be read or used.
  kConfigErrors,
  // Bytes received from clients.
  kBytesRead,
  // Bytes sent to clients.
  kBytesWritten,
  // Turns that ended although the connection had more requests.
  kConnYields,
  // Events that were lost because the buffer of their thread was full; events that were not.
  kLogWorkerDropped,
  kLogWorkerWritten,
  // Lines that were lost because the buffer of a watcher was full; lines that were not.
  kLogWatcherSkipped,
  kLogWatcherSent,
  // How often the server stopped accepting connections.
  kListenDisabled,
  // For how many microseconds the server did not accept connections.
  kTimeInListenDisabledUs,
  // Handshakes of TLS that were completed; of these, those that resumed a session.
  kTlsHandshakes,
  kTlsResumed,
  // Handshakes that failed, for whatever reason.
  kTlsHandshakeErrors,
  // Errors of TLS after the handshake.
  kTlsProtocolErrors,
  // Sessions that whole handshakes have made.
  kTlsNewSessions,
  // Connections whose replies the kernel encrypts.
  kTlsInKernel,
  // The number of enumerators above.
  kCount,
};

// Memory that a worker holds for its connections, in bytes, as `stats memory` prints it.
enum class Buffer : std::uint8_t {
  // The input area, that of TLS, and the batch of requests, which all connections of the worker
  // share.
  kInput,
  // The part of the output area that was ever used, and the area of TLS.
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
