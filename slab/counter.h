// A statistic with one writer.
#pragma once

#include <atomic>
#include <cstdint>

namespace larder::slab {

// Threads: one thread adds, any thread reads. Relaxed: a reader wants the number, not the order of
// events. A plain add costs what a non-atomic one costs; a counter shared by two writers costs 2x.
class Counter {
 public:
  void Add(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  // For gauges that are summed over lanes: wraps, the sum is right again.
  void Subtract(std::uint64_t n) { Add(0 - n); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace larder::slab
