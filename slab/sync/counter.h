// Counter: a statistic that one thread writes and any thread may read.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace larder::slab {

// Counter is a number for statistics. A plain add costs what a non-atomic one costs; a counter
// shared by two writers costs 2x.
//
// Threads:    one thread adds, any thread reads. Relaxed: a reader needs the number, not the order
//             of events.
class Counter {
 public:
  void Add(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  // Sets the number. For the writing thread.
  void Set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  // For gauges that are summed over lanes: the number of one lane may wrap below 0, but the sum is
  // right.
  void Subtract(std::uint64_t n) { Add(0 - n); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// Counters has one Counter for each enumerator of Name. The last enumerator of Name is kCount.
//
// Threads:    as Counter: one thread adds, any thread reads.
template <class Name>
class Counters {
 public:
  static constexpr std::size_t kSize = static_cast<std::size_t>(Name::kCount);
  using Values = std::array<std::uint64_t, kSize>;

  void Add(Name name, std::uint64_t n = 1) { counters_[static_cast<std::size_t>(name)].Add(n); }
  void Subtract(Name name, std::uint64_t n) { Add(name, 0 - n); }
  Counter& at(Name name) { return counters_[static_cast<std::size_t>(name)]; }
  std::uint64_t value(Name name) const { return counters_[static_cast<std::size_t>(name)].value(); }
  // Adds all numbers to `sums`, to make sums over lanes.
  void AddTo(Values& sums) const {
    for (std::size_t i = 0; i < kSize; ++i) sums[i] += counters_[i].value();
  }

 private:
  std::array<Counter, kSize> counters_;
};

}  // namespace larder::slab
