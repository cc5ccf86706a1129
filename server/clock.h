// The server's idea of the time.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "slab/item/expiry.h"

namespace larder::server {

// Clock ticks when it is told to, as soon as its next second begins. It starts at the system's Unix
// time and runs on the monotonic clock: what is relative, like most expiries, does not move when
// the system's time is set, or when the machine sleeps. Where the system's time has gone since, the
// clock shows apart.
//
// Threads: atomic. Tick, Advance and StepWall: the main thread writes (the latter two: any),
//          workers read once per turn. The two numbers of now() need not be of one tick: each is
//          right for itself.
class Clock {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using WallTime = std::chrono::system_clock::time_point;
  // The same moment by both.
  struct Reading {
    Time own;
    WallTime wall;
  };

  Clock() : Clock(Read()) {}
  explicit Clock(Time now) : Clock({.own = now, .wall = std::chrono::system_clock::now()}) {}
  explicit Clock(const Reading& now)
      : started_at_(now.own),
        wall_at_start_(now.wall),
        started_s_(static_cast<std::uint32_t>(
            std::chrono::duration_cast<std::chrono::seconds>(now.wall.time_since_epoch()).count())),
        now_s_(started_s_) {}

  void Tick() { Tick(Read()); }
  void Tick(const Reading& now) {
    Tick(now.own);
    FollowWall(now);
  }
  // Where nobody looked at the wall clock.
  void Tick(Time now) {
    const auto elapsed = std::chrono::duration_cast<std::chrono::seconds>(now - started_at_);
    now_s_.store(started_s_ + static_cast<std::uint32_t>(elapsed.count()) +
                     advanced_s_.load(std::memory_order_relaxed),
                 std::memory_order_relaxed);
  }
  // When to tick again: ticks a second apart, by a timer that is some milliseconds early or late,
  // would now and then see no new second, and two the next time.
  std::chrono::microseconds UntilNextSecond(Time now = std::chrono::steady_clock::now()) const {
    const std::chrono::seconds second{1};
    return std::chrono::ceil<std::chrono::microseconds>(second - (now - started_at_) % second);
  }
  // Tests move the time on; the next Tick shows it.
  void Advance(std::uint32_t seconds) { advanced_s_.fetch_add(seconds, std::memory_order_relaxed); }
  // Tests set the system's time, as the next Tick sees it.
  void StepWall(std::int32_t seconds) { stepped_s_.fetch_add(seconds, std::memory_order_relaxed); }

  slab::Now now() const {
    return {.now_s = now_s(), .wall_ahead_s = wall_ahead_s_.load(std::memory_order_relaxed)};
  }
  std::uint32_t now_s() const { return now_s_.load(std::memory_order_relaxed); }
  std::uint32_t started_s() const { return started_s_; }

 private:
  // Looks again when something came between the two.
  static Reading Read();
  // Steps are followed; what the two differ by otherwise, for they are not read at once, is not.
  void FollowWall(const Reading& now);

  const Time started_at_;
  const WallTime wall_at_start_;
  const std::uint32_t started_s_;
  std::atomic<std::uint32_t> advanced_s_{0};
  std::atomic<std::int32_t> stepped_s_{0};
  std::atomic<std::uint32_t> now_s_;
  std::atomic<std::int32_t> wall_ahead_s_{0};
};

}  // namespace larder::server
