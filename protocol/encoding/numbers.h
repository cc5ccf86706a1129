// Decimal numbers as they appear on the wire. There are two grammars for reading, because memcached
// reads some fields with the C library (lenient) and the others by its own rules (strict).
//
// Threads: any; all functions use only their arguments and constants.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

namespace larder::protocol {

// The longest text that WriteDecimal() produces: 18446744073709551615.
inline constexpr std::size_t kDecimalBytesMax = 20;

// Strict signed number: an optional '-', then digits, at most 11 characters altogether. A lone '-'
// is 0, as in memcached. Nothing if empty, malformed or out of range.
std::optional<std::int32_t> ParseStrictInt32(std::string_view text) noexcept;

// Strict unsigned number: digits only, at most 22 of them. Nothing if empty, malformed or out of
// range.
std::optional<std::uint64_t> ParseStrictUint64(std::string_view text) noexcept;

// Lenient numbers, as C's strtoull and strtoll read them: white space, a sign, digits; then the
// end, a NUL byte, or white space with anything behind it. Nothing if there is no digit, or if the
// digits do not fit 64 bits.
//
// For the unsigned variant a minus sign negates modulo 2^64, and a result with its top bit set is
// refused: so -1 is refused, and -18446744073709551615 is 1. The signed variant refuses a number
// that does not fit std::int64_t.
std::optional<std::uint64_t> ParseLenientUint64(std::string_view text) noexcept;
std::optional<std::int64_t> ParseLenientInt64(std::string_view text) noexcept;

// The longest stored value, in bytes, that incr and decr accept as a number. memcached stores
// longer values in several pieces and never treats those as numbers.
inline constexpr std::size_t kCounterBytesMax = 512 * 1024;

// Returns the number in a stored value that incr or decr is going to change; nothing if the value
// is no (lenient) number.
inline std::optional<std::uint64_t> ParseCounter(std::string_view value) noexcept {
  if (value.size() > kCounterBytesMax) return std::nullopt;
  return ParseLenientUint64(value);
}

// The texts "00" to "99" in one array, so that two digits cost one division.
inline constexpr std::array<char, 200> kDigitPairs = [] {
  std::array<char, 200> pairs{};
  for (std::size_t n = 0; n < 100; ++n) {
    pairs[2 * n] = static_cast<char>('0' + n / 10);
    pairs[2 * n + 1] = static_cast<char>('0' + n % 10);
  }
  return pairs;
}();

// The part of WriteDecimal() for numbers of five digits and more.
//
// REQUIRES: number >= 10, and as many bytes are writable at `out` as `number` has digits.
char* WriteLongDecimal(char* out, std::uint64_t number) noexcept;

// Writes `number` and returns the position behind its text. No NUL is added.
//
// REQUIRES: kDecimalBytesMax bytes are writable at `out`, or as many as `number` has digits.
inline char* WriteDecimal(char* out, std::uint64_t number) noexcept {
  if (number < 10) {
    *out = static_cast<char>('0' + number);
    return out + 1;
  }
  if (number < 100) {
    std::memcpy(out, &kDigitPairs[2 * number], 2);
    return out + 2;
  }
  if (number >= 10000) return WriteLongDecimal(out, number);
  const auto high = static_cast<std::uint32_t>(number) / 100;
  const auto low = static_cast<std::uint32_t>(number) % 100;
  // Three or four digits: with three, the first pair begins with a zero, which is left out.
  const std::size_t skipped = high < 10 ? 1 : 0;
  std::memcpy(out, &kDigitPairs[2 * high + skipped], 2);
  out += 2 - skipped;
  std::memcpy(out, &kDigitPairs[2 * low], 2);
  return out + 2;
}

}  // namespace larder::protocol
