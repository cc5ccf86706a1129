// The time, as the benchmarks count it.
#pragma once

#include <chrono>
#include <cstdint>

namespace larder::bench {

// Nanoseconds of the monotonic clock.
inline std::int64_t NowNs() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

inline constexpr std::int64_t kSecondNs = 1'000'000'000;

}  // namespace larder::bench
