// Watcher: the lines that wait for one client of `watch`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "server/reply/output.h"
#include "server/watch/watch_filter.h"
#include "slab/sync/mutex.h"

namespace larder::server {

// Watcher stores the lines that its client has not taken yet, up to a bound. What does not fit is
// lost for this client, and in its place stands a line that says how many were:
//
//   skipped=<n>
//
// It comes in front of the next line that does fit, or when the client has taken all lines before
// it: a client that keeps copies of items has to know at once, also if nothing follows.
//
// Threads:    Take: the worker of the client. All else: the thread of the hub.
// Owns:       the lines.
// Invariants: the buffer has whole lines, but for a first one that was taken in part.
class Watcher {
 public:
  // Gets the events that pass `filter` and have numbers from `first_number`. At most `bytes_max`
  // bytes wait for the client. `wake` is called when there is something to Take() after a call of
  // Take() that found nothing; it must return at once.
  Watcher(WatchFilter filter, std::uint64_t first_number, std::size_t bytes_max,
          std::function<void()> wake);
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  const WatchFilter& filter() const { return filter_; }

  // What a round of the hub has done for the watcher.
  struct Round {
    std::uint64_t sent = 0;
    std::uint64_t skipped = 0;
  };
  // Adds the lines of those events that the watcher gets. `lost` is the number of events of its
  // streams that were lost behind these, because a ring was full with them. `count` events are at
  // `event_at(i)`, with their lines at `line_at(i)`, which is called only where the line is needed.
  template <class EventAt, class LineAt>
  Round Add(std::uint64_t lost, std::size_t count, const EventAt& event_at, const LineAt& line_at)
      LARDER_EXCLUDES(mutex_) {
    Round round;
    bool is_woken = false;
    {
      const MutexLock lock(mutex_);
      for (std::size_t i = 0; i < count; ++i) {
        const NumberedEvent& event = event_at(i);
        if (event.number < first_number_ || !filter_.Passes(event.event)) continue;
        ++(Append(line_at(i)) ? round.sent : round.skipped);
      }
      skipped_ += lost;
      if (awaits_lines_ && (has_lines() || skipped_ != 0)) {
        is_woken = std::exchange(awaits_lines_, false);
      }
    }
    if (is_woken) wake_();
    return round;
  }

  // Moves up to `bytes_max` bytes of the lines to `output`. Returns false if there was none: then
  // `wake` will be called.
  [[nodiscard]] bool Take(std::size_t bytes_max, Output& output) LARDER_EXCLUDES(mutex_);

 private:
  // Appends a line, or counts it as skipped.
  bool Append(std::string_view line) LARDER_REQUIRES(mutex_);
  // What tells of the lines that were skipped, which it forgets; empty: none were.
  std::string TakeNotice() LARDER_REQUIRES(mutex_);
  bool has_lines() const LARDER_REQUIRES(mutex_) { return taken_ != lines_.size(); }

  // Used by the hub only.
  WatchFilter filter_;
  const std::uint64_t first_number_;
  const std::size_t bytes_max_;
  const std::function<void()> wake_;

  Mutex mutex_;
  // The lines, of which the first taken_ bytes are taken already.
  std::string lines_ LARDER_GUARDED_BY(mutex_);
  std::size_t taken_ LARDER_GUARDED_BY(mutex_) = 0;
  // Lines that were lost since the last line.
  std::uint64_t skipped_ LARDER_GUARDED_BY(mutex_) = 0;
  // Take() has found nothing.
  bool awaits_lines_ LARDER_GUARDED_BY(mutex_) = false;
};

}  // namespace larder::server
