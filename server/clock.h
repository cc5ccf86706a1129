// The server's idea of the time.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace larder::server {

// Clock ticks when it is told to, as soon as its next second begins. It starts at the system's Unix
// time and runs on the monotonic clock, so that a correction of the system's time expires nothing.
//
// Threads: atomic. Tick and Advance: the main thread writes, workers read once per turn.
class Clock {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit Clock(Time now = std::chrono::steady_clock::now())
      : started_at_(now),
        started_s_(
            static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(
                                           std::chrono::system_clock::now().time_since_epoch())
                                           .count())),
        now_s_(started_s_) {}

  void Tick(Time now = std::chrono::steady_clock::now()) {
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

  std::uint32_t now_s() const { return now_s_.load(std::memory_order_relaxed); }
  std::uint32_t started_s() const { return started_s_; }

 private:
  const Time started_at_;
  const std::uint32_t started_s_;
  std::atomic<std::uint32_t> advanced_s_{0};
  std::atomic<std::uint32_t> now_s_;
};

}  // namespace larder::server
