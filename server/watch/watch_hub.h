// WatchHub: brings the events of all threads to the clients of `watch`.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "server/config/config.h"
#include "server/metrics/counters.h"
#include "server/watch/event_source.h"
#include "server/watch/watcher.h"
#include "slab/lane.h"
#include "slab/sync/mutex.h"

namespace larder::server {

// The bounds of a hub.
//
// Threads: a value.
struct WatchLimits {
  explicit WatchLimits(const Config& config)
      : watchers_max(config.watchers_max),
        watcher_bytes(std::size_t{config.watcher_log_kilobytes} * 1024),
        source_bytes(std::size_t{config.worker_log_kilobytes} * 1024) {}

  // The most watchers at a time.
  std::size_t watchers_max;
  // The most bytes that wait for one watcher.
  std::size_t watcher_bytes;
  // The most bytes of events of one thread that wait for the hub.
  std::size_t source_bytes;
};

// WatchHub has a thread that collects events from the sources, brings them into the order of their
// numbers, and adds their lines to the watchers. No other thread ever waits for it: where a ring or
// a watcher is full, events are lost and counted.
//
//   worker: EventSource --ring--> hub's thread --lines--> Watcher --> WatcherReply: worker
//
// Threads: SourceOf, Add, Remove and count: any thread; Start and Stop: one thread.
// Owns:    its thread and the sources. The counters, and the lanes of the sources, must outlive it.
class WatchHub {
 public:
  // The thread counts what it does in `counters`, which nobody else writes.
  WatchHub(const Config& config, WorkerCounters& counters) : limits_(config), counters_(counters) {}
  ~WatchHub() { Stop(); }
  WatchHub(const WatchHub&) = delete;
  WatchHub& operator=(const WatchHub&) = delete;

  // Starts the thread. Throws std::system_error if the system refuses.
  void Start();
  // Ends the thread: watchers get no more lines.
  void Stop();

  // The source of a thread that uses this lane; it lives as long as the hub. The first call for a
  // lane makes it, and makes it the observer of the lane. To be called by the lane's thread, or
  // before that thread starts.
  EventSource& SourceOf(slab::Lane& lane) LARDER_EXCLUDES(sources_mutex_);

  // Adds a watcher; `wake` is as for Watcher. Returns nullptr if there are watchers_max already.
  std::shared_ptr<Watcher> Add(WatchFilter filter, std::function<void()> wake)
      LARDER_EXCLUDES(watchers_mutex_, sources_mutex_);
  // Removes a watcher. Its `wake` may still be called once.
  void Remove(const std::shared_ptr<Watcher>& watcher)
      LARDER_EXCLUDES(watchers_mutex_, sources_mutex_);
  // Whether anybody watches the stream. Relaxed, as for EventSource.
  bool Wants(WatchStream stream) const noexcept {
    return (all_wanted_.load(std::memory_order_relaxed) & SetOf(stream)) != 0;
  }
  // The number of watchers.
  std::size_t count() const { return count_.load(std::memory_order_relaxed); }
  const WatchLimits& limits() const { return limits_; }

 private:
  // The function of the thread.
  void Run();
  // Waits until there are events, and then a little for more. Returns false if the hub stops.
  bool AwaitEvents();
  // Collects what there is and adds it to the watchers.
  void Round() LARDER_EXCLUDES(watchers_mutex_, sources_mutex_);
  // The parts of a round: fills events_ and texts_, and returns the losses since the last round.
  EventSource::Losses Collect() LARDER_EXCLUDES(sources_mutex_);
  void Deliver(const EventSource::Losses& lost) LARDER_EXCLUDES(watchers_mutex_);
  // The line of an event of this round.
  std::string_view LineOf(std::size_t at);
  // Tells the sources what is watched.
  void Announce() LARDER_REQUIRES(watchers_mutex_) LARDER_EXCLUDES(sources_mutex_);

  const WatchLimits limits_;
  WorkerCounters& counters_;
  EventNumbers numbers_;
  std::thread thread_;
  std::atomic<bool> is_stopping_{false};
  std::atomic<std::size_t> count_{0};
  // The streams that are watched.
  std::atomic<StreamSet> all_wanted_{0};

  // Locked before sources_mutex_.
  Mutex watchers_mutex_;
  std::vector<std::shared_ptr<Watcher>> watchers_ LARDER_GUARDED_BY(watchers_mutex_);

  Mutex sources_mutex_;
  // By the number of the lane. A map, because sources must not move.
  std::map<std::uint32_t, EventSource> sources_ LARDER_GUARDED_BY(sources_mutex_);
  // What the sources were told last.
  StreamSet wanted_ LARDER_GUARDED_BY(sources_mutex_) = 0;
  std::uint64_t slow_us_ LARDER_GUARDED_BY(sources_mutex_) = 0;

  // --- Used by the thread only ---
  // The events of the round, in their order.
  std::vector<EventRing::Taken> events_;
  std::string texts_;
  // The lines that were needed so far, by the index of the event; empty: not needed yet.
  std::vector<std::string> lines_;
  // The events that were ever lost until this round, by stream.
  EventSource::Losses lost_{};
};

}  // namespace larder::server
