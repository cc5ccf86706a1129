#include "tests/bench/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace larder::bench {

void Histogram::Record(std::uint64_t value, std::uint64_t count) {
  value = std::min(value, kValueMax);
  counts_[BucketOf(value)] += count;
  count_ += count;
  max_ = std::max(max_, value);
}

void Histogram::Merge(const Histogram& other) {
  for (std::size_t bucket = 0; bucket < counts_.size(); ++bucket) {
    counts_[bucket] += other.counts_[bucket];
  }
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
}

std::uint64_t Histogram::Percentile(double percent) const {
  const double wanted = std::ceil(static_cast<double>(count_) * percent / 100.0);
  std::uint64_t seen = 0;
  for (std::uint32_t bucket = 0; bucket < counts_.size(); ++bucket) {
    seen += counts_[bucket];
    if (seen != 0 && static_cast<double>(seen) >= wanted) return std::min(LargestIn(bucket), max_);
  }
  return max_;
}

// Octave 0 holds the values that need at most 7 bits, exactly. Octave n > 0 holds those of 7 + n
// bits; their leading bit is implied by n, the 7 bits behind it choose the bucket.
std::uint32_t Histogram::BucketOf(std::uint64_t value) {
  const unsigned width = static_cast<unsigned>(std::bit_width(value));
  if (width <= kOctaveBits) return static_cast<std::uint32_t>(value);
  const unsigned octave = width - kOctaveBits;
  const std::uint64_t leading_8_bits = value >> (octave - 1);
  const std::uint64_t in_octave = leading_8_bits & ((1u << kOctaveBits) - 1);
  return static_cast<std::uint32_t>((octave << kOctaveBits) | in_octave);
}

std::uint64_t Histogram::LargestIn(std::uint32_t bucket) {
  const unsigned octave = bucket >> kOctaveBits;
  if (octave == 0) return bucket;
  const std::uint64_t in_octave = bucket & ((1u << kOctaveBits) - 1);
  const std::uint64_t leading_8_bits = in_octave | (1u << kOctaveBits);
  return ((leading_8_bits + 1) << (octave - 1)) - 1;
}

}  // namespace larder::bench
