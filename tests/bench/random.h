// A seedable source of random numbers that costs a nanosecond.
#pragma once

#include <cstdint>

namespace larder::bench {

// Spreads the bits of `value` over the whole word: a bijection, as a random generator and as a
// hash. Source: the finaliser of SplitMix64 (Steele, Lea, Flood 2014).
constexpr std::uint64_t Mix(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

// Random is a SplitMix64 generator: the same seed gives the same run again.
//
// Threads: one worker.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t Next() { return Mix(state_ += 0x9e3779b97f4a7c15); }

  // Uniform in [0, bound). The bias of at most bound / 2^32 does not matter to a benchmark.
  std::uint32_t Below(std::uint32_t bound) {
    return static_cast<std::uint32_t>(((Next() >> 32) * bound) >> 32);
  }

  // Uniform in [0, 1).
  double Unit() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

 private:
  std::uint64_t state_;
};

}  // namespace larder::bench
