// Counts of durations, precise to 1%.
#pragma once

#include <array>
#include <cstdint>

namespace larder::bench {

// Histogram counts values (nanoseconds here) in log-linear buckets, so that any percentile comes
// out within 1% however far the tail reaches, at a fixed 35 KB and a few instructions a value.
//
//   values  0 .. 127    128 .. 255    256 .. 511    512 .. 1023   ...
//   width       1            1             2             4        ...  (128 buckets an octave)
//
// Threads: one worker.
// Source:  the layout of Gil Tene's HdrHistogram.
class Histogram {
 public:
  // Larger values are counted as this one: 2^40 ns are 18 minutes.
  static constexpr std::uint64_t kValueMax = (std::uint64_t{1} << 40) - 1;

  void Record(std::uint64_t value, std::uint64_t count = 1);
  void Merge(const Histogram& other);

  // The smallest value that at least `percent` of all values do not exceed, rounded up within its
  // bucket (at most 0.8%) but never above max(). 0 when nothing was recorded.
  std::uint64_t Percentile(double percent) const;

  std::uint64_t count() const { return count_; }
  std::uint64_t max() const { return max_; }  // Exact.

 private:
  static constexpr unsigned kOctaveBits = 7;
  static constexpr unsigned kOctaves = 40 - kOctaveBits + 1;

  static std::uint32_t BucketOf(std::uint64_t value);
  static std::uint64_t LargestIn(std::uint32_t bucket);

  std::array<std::uint64_t, (kOctaves << kOctaveBits)> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace larder::bench
