// FrequencySketch: about how often keys were used lately.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/bench/policies/key_queue.h"
#include "tests/bench/random.h"

namespace larder::bench {

// A count-min sketch with counters up to 15, which are halved after ten uses for each key that the
// cache holds.
//
// Threads: one worker.
// Source:  Einziger, Friedman and Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", ACM
//          Transactions on Storage, 2017. Counters and ages are those of the library Caffeine.
class FrequencySketch {
 public:
  // For a cache of so many keys.
  explicit FrequencySketch(std::uint64_t keys)
      : sample_(10 * std::max<std::uint64_t>(1, keys)),
        width_(std::bit_ceil(std::max<std::uint64_t>(16, 4 * keys))) {
    for (auto& row : rows_) row.resize(width_);
  }

  void Add(Key key) {
    bool has_grown = false;
    for (std::size_t row = 0; row < kRows; ++row) {
      std::uint8_t& counter = rows_[row][Column(key, row)];
      if (counter == kCountMax) continue;
      ++counter;
      has_grown = true;
    }
    if (has_grown && ++added_ >= sample_) Age();
  }
  std::uint32_t CountOf(Key key) const {
    std::uint32_t count = kCountMax;
    for (std::size_t row = 0; row < kRows; ++row) {
      count = std::min<std::uint32_t>(count, rows_[row][Column(key, row)]);
    }
    return count;
  }

 private:
  static constexpr std::size_t kRows = 4;
  static constexpr std::uint8_t kCountMax = 15;

  std::size_t Column(Key key, std::size_t row) const {
    return Mix(key + (std::uint64_t{row + 1} << 40)) & (width_ - 1);
  }
  void Age() {
    for (auto& row : rows_) {
      for (std::uint8_t& counter : row) counter /= 2;
    }
    added_ /= 2;
  }

  const std::uint64_t sample_;
  const std::size_t width_;  // A power of two.
  std::array<std::vector<std::uint8_t>, kRows> rows_;
  std::uint64_t added_ = 0;
};

}  // namespace larder::bench
