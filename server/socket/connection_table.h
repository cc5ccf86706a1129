// The table of all open descriptors, for `stats conns` and the connection limit.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

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
  // It gets the lines of a watcher.
  kWatch,
};

// What `stats conns` shows of a connection.
//
// Threads: atomic: written by the worker that owns the connection, read by `stats conns` on another
//          thread. The order is relaxed: each value is shown for itself.
struct ConnectionInfo {
  std::atomic<ConnectionState> state{ConnectionState::kWaiting};
  // The second byte of the version of TLS, and the cipher, as they are sent; 0: the connection is
  // not encrypted.
  std::atomic<std::uint8_t> tls_version{0};
  std::atomic<std::uint16_t> tls_cipher{0};
  // When bytes arrived last, in seconds of the server's clock.
  std::atomic<std::uint32_t> last_input_s{0};
};

// ConnectionTable maps each open descriptor to the state of its connection.
//
// Threads:    internally locked. The lock is taken when a connection is opened or closed, never for
//             a request.
// Owns:       the table. The states belong to the connections.
// Invariants: count_ is the number of open descriptors in the table, but for the moment in which
//             both change.
class ConnectionTable {
 public:
  // Adds a connection. REQUIRES: `info` lives, and `fd` stays open, until Remove(fd).
  void Add(int fd, const ConnectionInfo& info) LARDER_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    LARDER_ASSERT(fd >= 0);
    const auto at = static_cast<std::size_t>(fd);
    if (at >= connections_.size()) connections_.resize(at + 1);
    LARDER_ASSERT(connections_[at] == nullptr);
    connections_[at] = &info;
    count_.fetch_add(1, std::memory_order_relaxed);
  }
  // Removes the connection. Afterwards no other thread reads its state. No effect if there is none.
  void Remove(int fd) LARDER_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    const auto at = static_cast<std::size_t>(fd);
    if (at >= connections_.size() || connections_[at] == nullptr) return;
    connections_[at] = nullptr;
    count_.fetch_sub(1, std::memory_order_relaxed);
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
    std::size_t at = 0;
    for (bool is_at_end = false; !is_at_end;) {
      const MutexLock lock(mutex_);
      for (int i = 0; i < kPerLock && at < connections_.size(); ++i, ++at) {
        if (connections_[at] != nullptr) fn(static_cast<int>(at), *connections_[at]);
      }
      is_at_end = at >= connections_.size();
    }
  }

 private:
  // For how many connections the lock is held without a pause.
  static constexpr int kPerLock = 16;

  static_assert(kPerLock > 0);

  mutable Mutex mutex_;
  // By descriptor; null for one that is not open. The system reuses descriptors, so the table is as
  // long as there were connections at once.
  std::vector<const ConnectionInfo*> connections_ LARDER_GUARDED_BY(mutex_);
  // Written under mutex_, read by any thread without it.
  std::atomic<std::uint64_t> count_{0};
};

}  // namespace larder::server
