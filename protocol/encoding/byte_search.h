// Searches for the end of a word or a line: the inner loop of the text parser. It compares 16 bytes
// at a time where the CPU can: SSE2 is part of every x86-64. Other CPUs get a plain loop.
//
// Both functions return the position of the first such byte at or behind `at`, or `end` if there is
// none before `end`.
//
// REQUIRES (both): at <= end, and 15 bytes behind `end` are readable. The blocks of 16 may reach
// over the end; what is found there is ignored.
#pragma once

#if defined(__SSE2__)
#include <emmintrin.h>

#include <bit>
#include <cassert>
#else
#include <algorithm>
#include <cassert>
#endif

namespace larder::protocol {

#if defined(__SSE2__)

// Finds the first ' ' or '\n'.
inline const char* FindSpaceOrNewline(const char* at, const char* end) noexcept {
  assert(at <= end);
  const __m128i spaces = _mm_set1_epi8(' ');
  const __m128i newlines = _mm_set1_epi8('\n');
  for (; at < end; at += sizeof(__m128i)) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i matches =
        _mm_or_si128(_mm_cmpeq_epi8(block, spaces), _mm_cmpeq_epi8(block, newlines));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(matches));
    // The lowest set bit is the first match. It may lie in the slack behind `end`.
    if (mask != 0) {
      const char* const match = at + std::countr_zero(mask);
      return match < end ? match : end;
    }
  }
  return end;
}

// Finds the first '\n'.
inline const char* FindNewline(const char* at, const char* end) noexcept {
  assert(at <= end);
  const __m128i newlines = _mm_set1_epi8('\n');
  for (; at < end; at += sizeof(__m128i)) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(block, newlines)));
    if (mask != 0) {
      const char* const match = at + std::countr_zero(mask);
      return match < end ? match : end;
    }
  }
  return end;
}

#else

// Finds the first ' ' or '\n'.
inline const char* FindSpaceOrNewline(const char* at, const char* end) noexcept {
  assert(at <= end);
  return std::find_if(at, end, [](char byte) { return byte == ' ' || byte == '\n'; });
}

// Finds the first '\n'.
inline const char* FindNewline(const char* at, const char* end) noexcept {
  assert(at <= end);
  return std::find(at, end, '\n');
}

#endif

}  // namespace larder::protocol
