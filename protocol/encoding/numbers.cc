#include "protocol/encoding/numbers.h"

#include <bit>
#include <cassert>
#include <charconv>
#include <cstring>
#include <limits>
#include <system_error>

namespace larder::protocol {
namespace {

// memcached copies a number into a buffer of this size before it reads it; longer texts are
// malformed even if they only have leading zeros.
constexpr std::size_t kStrictInt32BytesMax = 11;
constexpr std::size_t kStrictUint64BytesMax = 22;

// Parses all of `text` with the grammar of from_chars: a '-' if Number is signed, then digits.
// Nothing if there are other bytes, no digits, or if the number is out of range.
template <class Number>
std::optional<Number> ParseWhole(std::string_view text) noexcept {
  Number number = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || stopped != end) return std::nullopt;
  return number;
}

// Returns whether isspace() of the C locale is true for a byte: strtoull skips such bytes.
constexpr bool IsWhiteSpace(char byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

// What both lenient parsers need: the sign, and the digits as an unsigned number.
struct Lenient {
  std::uint64_t magnitude = 0;
  bool is_negative = false;
};

// Parses white space, a sign and digits, up to the end, a NUL byte or further white space. Nothing
// if the text differs from that, or if the digits do not fit 64 bits.
std::optional<Lenient> ParseLenient(std::string_view text) noexcept {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end && IsWhiteSpace(*at)) ++at;
  Lenient parsed;
  if (at != end && (*at == '-' || *at == '+')) {
    parsed.is_negative = *at == '-';
    ++at;
  }
  const auto [stopped, error] = std::from_chars(at, end, parsed.magnitude);
  if (error != std::errc{}) return std::nullopt;
  if (stopped != end && *stopped != '\0' && !IsWhiteSpace(*stopped)) return std::nullopt;
  return parsed;
}

// 10^0 to 10^19: every power of ten that fits 64 bits.
constexpr std::array<std::uint64_t, 20> kPowersOfTen = [] {
  std::array<std::uint64_t, 20> powers{};
  std::uint64_t power = 1;
  for (std::uint64_t& each : powers) {
    each = power;
    power *= 10;
  }
  return powers;
}();
static_assert(kPowersOfTen.size() == kDecimalBytesMax);
static_assert(kPowersOfTen.back() > std::numeric_limits<std::uint64_t>::max() / 10);

// Returns the number of decimal digits.
//
// REQUIRES: number > 0.
unsigned CountDigits(std::uint64_t number) noexcept {
  assert(number > 0);
  // 1233 / 4096 is about log10(2), so the product is the number of digits or one less. The
  // comparison with the power of ten decides which.
  const unsigned digits = static_cast<unsigned>(std::bit_width(number)) * 1233 >> 12;
  return digits + (number >= kPowersOfTen[digits]);
}

}  // namespace

std::optional<std::int32_t> ParseStrictInt32(std::string_view text) noexcept {
  if (text.size() > kStrictInt32BytesMax) return std::nullopt;
  // memcached reads a lone minus sign as zero.
  if (text == "-") return 0;
  return ParseWhole<std::int32_t>(text);
}

std::optional<std::uint64_t> ParseStrictUint64(std::string_view text) noexcept {
  if (text.size() > kStrictUint64BytesMax) return std::nullopt;
  return ParseWhole<std::uint64_t>(text);
}

std::optional<std::uint64_t> ParseLenientUint64(std::string_view text) noexcept {
  const std::optional<Lenient> parsed = ParseLenient(text);
  if (!parsed) return std::nullopt;
  if (!parsed->is_negative) return parsed->magnitude;
  // Negates modulo 2^64, as strtoull does.
  const std::uint64_t negated = 0 - parsed->magnitude;
  if (static_cast<std::int64_t>(negated) < 0) return std::nullopt;
  return negated;
}

std::optional<std::int64_t> ParseLenientInt64(std::string_view text) noexcept {
  const std::optional<Lenient> parsed = ParseLenient(text);
  if (!parsed) return std::nullopt;
  constexpr auto kPositiveMax = std::uint64_t{std::numeric_limits<std::int64_t>::max()};
  // The magnitude of the smallest negative number is one more than that of the largest positive
  // one.
  if (parsed->magnitude > kPositiveMax + parsed->is_negative) return std::nullopt;
  // The conversion is modulo 2^64 in C++20, so the smallest number is not a special case.
  return static_cast<std::int64_t>(parsed->is_negative ? 0 - parsed->magnitude : parsed->magnitude);
}

char* WriteLongDecimal(char* out, std::uint64_t number) noexcept {
  assert(number >= 10);
  // Two digits per division, from the last to the first.
  char* const end = out + CountDigits(number);
  char* at = end;
  while (number >= 100) {
    at -= 2;
    std::memcpy(at, &kDigitPairs[2 * (number % 100)], 2);
    number /= 100;
  }
  // What is left are the first digits, one or two.
  assert(at - out == (number >= 10 ? 2 : 1));
  if (number >= 10) {
    std::memcpy(out, &kDigitPairs[2 * number], 2);
  } else {
    *out = static_cast<char>('0' + number);
  }
  return end;
}

}  // namespace larder::protocol
