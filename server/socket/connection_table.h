// Every open descriptor, for `stats conns` and the connection limit.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>

#include "slab/sync/mutex.h"

namespace larder::server {

// In memcached's words; shown as conn_<name>.
enum class ConnectionState : std::uint8_t {
  kListening,
  kWaiting,  // For a request.
  kParseCmd,
  kNread,    // For the rest of a value.
  kSwallow,  // Throws a value away.
  kMwrite,   // For a client that does not read.
};

// Threads: atomics: written by the owning worker, read by `stats conns`.
struct ConnectionInfo {
  std::atomic<ConnectionState> state{ConnectionState::kWaiting};
  std::atomic<std::uint32_t> last_command_s{0};
};

// Threads: internally locked; taken when a connection comes or goes, never per request.
class ConnectionTable {
 public:
  // `info` must live until Remove(fd), and fd stay open.
  void Add(int fd, const ConnectionInfo& info) LARDER_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    connections_[fd] = &info;
    count_.store(connections_.size(), std::memory_order_relaxed);
  }
  void Remove(int fd) LARDER_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    connections_.erase(fd);
    count_.store(connections_.size(), std::memory_order_relaxed);
  }
  // Listeners included.
  std::uint64_t count() const { return count_.load(std::memory_order_relaxed); }

  // Calls fn(fd, info) in order of descriptors, under the lock, which is given up now and then:
  // workers wait for it when connections come and go.
  template <class Fn>
  void ForEach(Fn&& fn) const LARDER_EXCLUDES(mutex_) {
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
  static constexpr int kPerLock = 16;

  mutable Mutex mutex_;
  std::map<int, const ConnectionInfo*> connections_ LARDER_GUARDED_BY(mutex_);
  std::atomic<std::uint64_t> count_{0};  // Written under mutex_, read by anyone.
};

}  // namespace larder::server
