// Clock, the time as the server sees it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "slab/check.h"
#include "slab/item/expiry.h"

namespace larder::server {

// Clock shows the time of its last Tick(), in whole seconds. It starts at the system's Unix time
// and then follows the monotonic clock. So relative times, such as most expiries, are not affected
// when the system's time is set or the machine sleeps. By how much the system's time differs
// meanwhile is kept separately (wall_ahead_s).
//
// Threads: atomic. Tick: the main thread writes. Advance and StepWall: any thread writes. now and
//          now_s: any thread reads, workers once per turn. The two numbers of now() may come from
//          two ticks; each of them is correct by itself.
class Clock {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using WallTime = std::chrono::system_clock::time_point;
  // One moment, by both clocks.
  struct Reading {
    // The monotonic clock.
    Time own;
    // The system's time, which can be set.
    WallTime wall;
  };

  // A clock that starts now.
  Clock() : Clock(Read()) {}
  // Clocks that start at a given moment, for tests.
  explicit Clock(Time now) : Clock({.own = now, .wall = std::chrono::system_clock::now()}) {}
  explicit Clock(const Reading& now)
      : started_at_(now.own),
        wall_at_start_(now.wall),
        started_s_(static_cast<std::uint32_t>(
            std::chrono::duration_cast<std::chrono::seconds>(now.wall.time_since_epoch()).count())),
        now_s_(started_s_) {
    LARDER_ASSERT(now.wall.time_since_epoch() >= WallTime::duration::zero());
  }

  // Updates the time from both clocks.
  void Tick() { Tick(Read()); }
  void Tick(const Reading& now) {
    Tick(now.own);
    FollowWall(now);
  }
  // Updates the server's own time only. This and the other forms: REQUIRES: `now` is not before the
  // start.
  void Tick(Time now) {
    LARDER_ASSERT(now >= started_at_);
    const auto elapsed = std::chrono::duration_cast<std::chrono::seconds>(now - started_at_);
    now_s_.store(started_s_ + static_cast<std::uint32_t>(elapsed.count()) +
                     advanced_s_.load(std::memory_order_relaxed),
                 std::memory_order_relaxed);
  }
  // Returns the time until the next second begins, which is when to call Tick() again. A periodic
  // timer of one second, which may be some milliseconds early or late, would sometimes see no new
  // second, and then two at once. REQUIRES: `now` is not before the start.
  std::chrono::microseconds UntilNextSecond(Time now = std::chrono::steady_clock::now()) const {
    LARDER_ASSERT(now >= started_at_);
    const std::chrono::seconds second{1};
    return std::chrono::ceil<std::chrono::microseconds>(second - (now - started_at_) % second);
  }
  // For tests: advances the server's own time; visible from the next Tick() on.
  void Advance(std::uint32_t seconds) { advanced_s_.fetch_add(seconds, std::memory_order_relaxed); }
  // For tests: changes the system's time as the next Tick() sees it.
  void StepWall(std::int32_t seconds) { stepped_s_.fetch_add(seconds, std::memory_order_relaxed); }

  // The time by both clocks.
  slab::Now now() const {
    return {.now_s = now_s(), .wall_ahead_s = wall_ahead_s_.load(std::memory_order_relaxed)};
  }
  // Seconds by the server's own clock. Unix time at the start, and as many seconds later as have
  // passed.
  std::uint32_t now_s() const { return now_s_.load(std::memory_order_relaxed); }
  // The Unix time at which the server started.
  std::uint32_t started_s() const { return started_s_; }

 private:
  // Reads both clocks, again if something interrupted the thread between the two.
  static Reading Read();
  // Follows the system's time when it was set. Small differences are ignored, because the two
  // clocks are not read at exactly the same moment.
  void FollowWall(const Reading& now);

  // Constants: the start, by both clocks, and in seconds of Unix time.
  const Time started_at_;
  const WallTime wall_at_start_;
  const std::uint32_t started_s_;
  // The sums of all Advance() and StepWall(). Zero outside of tests.
  std::atomic<std::uint32_t> advanced_s_{0};
  std::atomic<std::int32_t> stepped_s_{0};
  // What now() shows. Relaxed: a reader needs the numbers, not the order of events.
  std::atomic<std::uint32_t> now_s_;
  std::atomic<std::int32_t> wall_ahead_s_{0};
};

}  // namespace larder::server
