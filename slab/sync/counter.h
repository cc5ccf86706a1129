// A statistic with one writer.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace larder::slab {

// Threads: one thread adds, any thread reads. Relaxed: a reader wants the number, not the order of
// events. A plain add costs what a non-atomic one costs; a counter shared by two writers costs 2x.
class Counter {
 public:
  void Add(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void Set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  // For gauges that are summed over lanes: wraps, the sum is right again.
  void Subtract(std::uint64_t n) { Add(0 - n); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// A Counter for each enumerator of Name, whose last one is kCount.
template <class Name>
class Counters {
 public:
  static constexpr std::size_t kSize = static_cast<std::size_t>(Name::kCount);
  using Values = std::array<std::uint64_t, kSize>;

  void Add(Name name, std::uint64_t n = 1) { counters_[static_cast<std::size_t>(name)].Add(n); }
  void Subtract(Name name, std::uint64_t n) { Add(name, 0 - n); }
  Counter& at(Name name) { return counters_[static_cast<std::size_t>(name)]; }
  std::uint64_t value(Name name) const { return counters_[static_cast<std::size_t>(name)].value(); }
  void AddTo(Values& sums) const {
    for (std::size_t i = 0; i < kSize; ++i) sums[i] += counters_[i].value();
  }

 private:
  std::array<Counter, kSize> counters_;
};

}  // namespace larder::slab
