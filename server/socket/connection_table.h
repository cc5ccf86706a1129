// The table of all open descriptors, for `stats conns` and the connection limit.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>

#include "slab/check.h"
#include "slab/sync/mutex.h"

namespace larder::server {

// What a connection is doing, with memcached's names: `stats conns` prints them as conn_<name>.
enum class ConnectionState : std::uint8_t {
  // A listening socket, which accepts clients.
  kListening,
  // It waits for a request.
  kWaiting,
  // It is being served, or waits for the server to produce a reply.
  kParseCmd,
  // It waits for the rest of a value.
  kNread,
  // It reads a value and throws it away, because the request was refused.
  kSwallow,
  // It sends a reply that the client has not yet taken.
  kMwrite,
};

// What `stats conns` shows of a connection.
//
// Threads: atomic: written by the worker that owns the connection, read by `stats conns` on another
//          thread. The order is relaxed: each value is shown for itself.
struct ConnectionInfo {
  std::atomic<ConnectionState> state{ConnectionState::kWaiting};
  // When bytes arrived last, in seconds of the server's clock.
  std::atomic<std::uint32_t> last_command_s{0};
};

// ConnectionTable maps each open descriptor to the state of its connection.
//
// Threads:    internally locked. The lock is taken when a connection is opened or closed, never for
//             a request.
// Owns:       the table. The states belong to the connections.
// Invariants: count_ is the size of the table, but for the moment in which both change.
class ConnectionTable {
 public:
  // Adds a connection. REQUIRES: `info` lives, and `fd` stays open, until Remove(fd).
  void Add(int fd, const ConnectionInfo& info) LARDER_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    LARDER_ASSERT(fd >= 0);
    LARDER_ASSERT(!connections_.contains(fd));
    connections_[fd] = &info;
    count_.store(connections_.size(), std::memory_order_relaxed);
  }
  // Removes the connection. Afterwards no other thread reads its state. No effect if there is none.
  void Remove(int fd) LARDER_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    connections_.erase(fd);
    count_.store(connections_.size(), std::memory_order_relaxed);
  }
  // The number of open descriptors, including listening sockets. Takes no lock, so it may be
  // slightly out of date.
  std::uint64_t count() const { return count_.load(std::memory_order_relaxed); }

  // Calls fn(fd, info) for each connection in the order of descriptors. fn runs under the lock,
  // which is released after every few calls, since workers wait for it when connections are opened
  // or closed. A connection that is opened or closed meanwhile may be left out. fn must not call
  // this object.
  template <class Fn>
  void ForEach(Fn&& fn) const LARDER_EXCLUDES(mutex_) {
    // The next descriptor to visit: it stays meaningful while the lock is released.
    int from_fd = 0;
    for (bool is_at_end = false; !is_at_end;) {
      const MutexLock lock(mutex_);
      auto at = connections_.lower_bound(from_fd);
      for (int i = 0; i < kPerLock && at != connections_.end(); ++i, ++at) {
        fn(at->first, *at->second);
        from_fd = at->first + 1;
      }
      is_at_end = at == connections_.end();
    }
  }

 private:
  // For how many connections the lock is held without a pause.
  static constexpr int kPerLock = 16;

  static_assert(kPerLock > 0);

  mutable Mutex mutex_;
  // Ordered by descriptor, so that ForEach() can continue where it released the lock.
  std::map<int, const ConnectionInfo*> connections_ LARDER_GUARDED_BY(mutex_);
  // Written under mutex_, read by any thread without it.
  std::atomic<std::uint64_t> count_{0};
};

}  // namespace larder::server
