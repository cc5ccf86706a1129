#include "protocol/encoding/numbers.h"

#include <bit>
#include <charconv>
#include <cstring>
#include <limits>
#include <system_error>

namespace larder::protocol {
namespace {

constexpr std::size_t kStrictInt32BytesMax = 11;
constexpr std::size_t kStrictUint64BytesMax = 22;

// All of `text` as a number, by from_chars' grammar: a '-' if Number is signed, then digits.
template <class Number>
std::optional<Number> ParseWhole(std::string_view text) noexcept {
  Number number = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc{} || stopped != end) return std::nullopt;
  return number;
}

// isspace() of the C locale, which strtoull skips.
constexpr bool IsWhiteSpace(char byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

// What both lenient parsers share: the sign, and the digits as an unsigned number.
struct Lenient {
  std::uint64_t magnitude = 0;
  bool is_negative = false;
};

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

constexpr std::array<std::uint64_t, 20> kPowersOfTen = [] {
  std::array<std::uint64_t, 20> powers{};
  std::uint64_t power = 1;
  for (std::uint64_t& each : powers) {
    each = power;
    power *= 10;
  }
  return powers;
}();

// REQUIRES: number > 0.
unsigned CountDigits(std::uint64_t number) noexcept {
  // 1233 / 4096 is log10(2), so this is the number of digits or one less; the table tells.
  const unsigned digits = static_cast<unsigned>(std::bit_width(number)) * 1233 >> 12;
  return digits + (number >= kPowersOfTen[digits]);
}

}  // namespace

std::optional<std::int32_t> ParseStrictInt32(std::string_view text) noexcept {
  if (text.size() > kStrictInt32BytesMax) return std::nullopt;
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
  const std::uint64_t negated = 0 - parsed->magnitude;
  if (static_cast<std::int64_t>(negated) < 0) return std::nullopt;
  return negated;
}

std::optional<std::int64_t> ParseLenientInt64(std::string_view text) noexcept {
  const std::optional<Lenient> parsed = ParseLenient(text);
  if (!parsed) return std::nullopt;
  constexpr auto kPositiveMax = std::uint64_t{std::numeric_limits<std::int64_t>::max()};
  if (parsed->magnitude > kPositiveMax + parsed->is_negative) return std::nullopt;
  // The conversion is modulo 2^64 in C++20, so the smallest number needs no case of its own.
  return static_cast<std::int64_t>(parsed->is_negative ? 0 - parsed->magnitude : parsed->magnitude);
}

char* WriteLongDecimal(char* out, std::uint64_t number) noexcept {
  char* const end = out + CountDigits(number);
  char* at = end;
  while (number >= 100) {
    at -= 2;
    std::memcpy(at, &kDigitPairs[2 * (number % 100)], 2);
    number /= 100;
  }
  if (number >= 10) {
    std::memcpy(out, &kDigitPairs[2 * number], 2);
  } else {
    *out = static_cast<char>('0' + number);
  }
  return end;
}

}  // namespace larder::protocol
