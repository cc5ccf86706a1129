// Decimal numbers as the wire writes them. Two grammars for reading, because memcached reads the
// fields of a storage command with the C library and all others by its own strict rules.
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

// Strict: an optional '-', then digits, at most 11 characters together. A lone '-' is 0, since
// memcached's is. Nothing if empty, malformed or out of range.
std::optional<std::int32_t> ParseStrictInt32(std::string_view text) noexcept;

// Strict: digits only, at most 22. Nothing if empty, malformed or out of range.
std::optional<std::uint64_t> ParseStrictUint64(std::string_view text) noexcept;

// Lenient, as C's strtoull and strtoll: white space, a sign, digits; then the end, a NUL byte, or
// white space with anything behind it. Nothing if there is no digit, or if the digits do not fit
// 64 bits. A minus sign negates modulo 2^64, and is refused if the result has its top bit set: so
// -1 is refused, -18446744073709551615 is 1.
std::optional<std::uint64_t> ParseLenientUint64(std::string_view text) noexcept;
std::optional<std::int64_t> ParseLenientInt64(std::string_view text) noexcept;

// memcached holds longer values in pieces, and calls none of them a number.
inline constexpr std::size_t kCounterBytesMax = 512 * 1024;

// The number in a stored value that incr or decr is to change; nothing if it is none.
inline std::optional<std::uint64_t> ParseCounter(std::string_view value) noexcept {
  if (value.size() > kCounterBytesMax) return std::nullopt;
  return ParseLenientUint64(value);
}

// "00" to "99", so that two digits cost one division.
inline constexpr std::array<char, 200> kDigitPairs = [] {
  std::array<char, 200> pairs{};
  for (std::size_t n = 0; n < 100; ++n) {
    pairs[2 * n] = static_cast<char>('0' + n / 10);
    pairs[2 * n + 1] = static_cast<char>('0' + n % 10);
  }
  return pairs;
}();

// WriteDecimal() for numbers of five digits and more.
char* WriteLongDecimal(char* out, std::uint64_t number) noexcept;

// Writes `number` and returns where its text ends. No NUL is added.
//
// REQUIRES: kDecimalBytesMax bytes at `out`, or as many as the caller knows `number` to need.
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
  // A hundred and more: the first pair may have a zero in front, which is left out.
  const std::size_t skipped = high < 10 ? 1 : 0;
  std::memcpy(out, &kDigitPairs[2 * high + skipped], 2);
  out += 2 - skipped;
  std::memcpy(out, &kDigitPairs[2 * low], 2);
  return out + 2;
}

}  // namespace larder::protocol
