#include "protocol/encoding/numbers.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <string_view>

namespace larder::protocol {
namespace {

using namespace std::literals;

std::string Decimal(std::uint64_t number) {
  char text[kDecimalBytesMax];
  return std::string(text, WriteDecimal(text, number));
}

TEST_CASE("a strict signed number is digits with at most a minus sign", "[protocol][numbers]") {
  CHECK(ParseStrictInt32("0") == 0);
  CHECK(ParseStrictInt32("007") == 7);
  CHECK(ParseStrictInt32("-1") == -1);
  CHECK(ParseStrictInt32("-0") == 0);
  CHECK(ParseStrictInt32("2147483647") == 2147483647);
  CHECK(ParseStrictInt32("-2147483648") == std::numeric_limits<std::int32_t>::min());
  for (const auto text : {"", "+1", "1.5", "1x", "x", " 1", "1 ", "--1", "1-", "\t1", "2147483648",
                          "-2147483649", "4294967297", "99999999999"}) {
    CAPTURE(text);
    CHECK(ParseStrictInt32(text) == std::nullopt);
  }
  CHECK(ParseStrictInt32("1\0"sv) == std::nullopt);
}

TEST_CASE("a lone minus sign is a strict zero", "[protocol][numbers][quirk]") {
  CHECK(ParseStrictInt32("-") == 0);
}

TEST_CASE("a strict signed number has at most 11 characters", "[protocol][numbers]") {
  CHECK(ParseStrictInt32("00000000001") == 1);
  CHECK(ParseStrictInt32("000000000001") == std::nullopt);
  CHECK(ParseStrictInt32("-0000000001") == -1);
  CHECK(ParseStrictInt32("-00000000001") == std::nullopt);
}

TEST_CASE("a strict unsigned number is up to 22 digits that fit 64 bits", "[protocol][numbers]") {
  CHECK(ParseStrictUint64("0") == 0u);
  CHECK(ParseStrictUint64("18446744073709551615") == ~std::uint64_t{0});
  CHECK(ParseStrictUint64("18446744073709551616") == std::nullopt);
  CHECK(ParseStrictUint64("0000000000000000000001") == 1u);
  CHECK(ParseStrictUint64("00000000000000000000001") == std::nullopt);
  for (const auto text : {"", "-", "-1", "+1", "1.5", "x", "1x", " 1", "0x10"}) {
    CAPTURE(text);
    CHECK(ParseStrictUint64(text) == std::nullopt);
  }
}

TEST_CASE("a lenient number ends as C's do", "[protocol][numbers]") {
  CHECK(ParseLenientUint64("007") == 7u);
  CHECK(ParseLenientUint64("+7") == 7u);
  CHECK(ParseLenientUint64("1\tz") == 1u);
  CHECK(ParseLenientUint64("\t\v\f\r 12") == 12u);
  CHECK(ParseLenientUint64("12 abc") == 12u);
  CHECK(ParseLenientUint64("12\0abc"sv) == 12u);
  for (const auto text : {"", " ", "+", "-", "x", "1x", "1.5", "0x10", "+-1", "- 1"}) {
    CAPTURE(text);
    CHECK(ParseLenientUint64(text) == std::nullopt);
    CHECK(ParseLenientInt64(text) == std::nullopt);
  }
  CHECK(ParseLenientUint64("\0"sv) == std::nullopt);
}

TEST_CASE("a lenient unsigned number may be negated modulo 2^64", "[protocol][numbers][quirk]") {
  CHECK(ParseLenientUint64("18446744073709551615") == ~std::uint64_t{0});
  CHECK(ParseLenientUint64("18446744073709551616") == std::nullopt);
  CHECK(ParseLenientUint64("-1") == std::nullopt);
  CHECK(ParseLenientUint64("-0") == 0u);
  CHECK(ParseLenientUint64("-18446744073709551615") == 1u);
  CHECK(ParseLenientUint64("-9223372036854775808") == std::nullopt);
  CHECK(ParseLenientUint64("-9223372036854775809") == 9223372036854775807u);
}

TEST_CASE("a lenient signed number fits 64 bits", "[protocol][numbers]") {
  CHECK(ParseLenientInt64("-1") == -1);
  CHECK(ParseLenientInt64("+5") == 5);
  CHECK(ParseLenientInt64("9223372036854775807") == std::numeric_limits<std::int64_t>::max());
  CHECK(ParseLenientInt64("9223372036854775808") == std::nullopt);
  CHECK(ParseLenientInt64("-9223372036854775808") == std::numeric_limits<std::int64_t>::min());
  CHECK(ParseLenientInt64("-9223372036854775809") == std::nullopt);
}

TEST_CASE("a counter is what strtoull reads, up to white space", "[protocol][numbers][incr]") {
  CHECK(ParseCounter("100") == 100u);
  CHECK(ParseCounter("99 ") == 99u);
  CHECK(ParseCounter(" 12") == 12u);
  CHECK(ParseCounter("+5") == 5u);
  CHECK(ParseCounter("000") == 0u);
  CHECK(ParseCounter("00000000000000000000000001") == 1u);
  CHECK(ParseCounter("18446744073709551615") == ~std::uint64_t{0});
  for (const auto text :
       {"", "abc", "12abc", "0x10", "1.5", "-1", "18446744073709551616", "999999999999999999999"}) {
    CAPTURE(text);
    CHECK(ParseCounter(text) == std::nullopt);
  }
}

TEST_CASE("a value over 512 kB is no counter", "[protocol][numbers][incr]") {
  CHECK(ParseCounter("1" + std::string(kCounterBytesMax - 1, ' ')) == 1u);
  CHECK(ParseCounter("1" + std::string(kCounterBytesMax, ' ')) == std::nullopt);
}

TEST_CASE("decimals are written around every change of length", "[protocol][numbers]") {
  CHECK(Decimal(0) == "0");
  CHECK(Decimal(~std::uint64_t{0}) == "18446744073709551615");
  for (std::uint64_t power = 1;; power *= 10) {
    for (const std::uint64_t number : {power - 1, power, power + 1}) {
      CHECK(Decimal(number) == std::to_string(number));
    }
    if (power > std::numeric_limits<std::uint64_t>::max() / 10) break;
  }
  for (int bit = 0; bit < 64; ++bit) {
    for (const std::uint64_t number : {(std::uint64_t{1} << bit) - 1, std::uint64_t{1} << bit}) {
      CHECK(Decimal(number) == std::to_string(number));
    }
  }
}

TEST_CASE("random decimals are written as the library writes them", "[protocol][property]") {
  const auto seed = GENERATE(take(4, random(0u, ~0u)));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 1000; ++round) {
    const std::uint64_t number = random() >> random() % 64;
    const std::string text = Decimal(number);
    REQUIRE(text == std::to_string(number));
    REQUIRE(ParseStrictUint64(text) == number);
    REQUIRE(ParseLenientUint64(text) == number);
  }
}

}  // namespace
}  // namespace larder::protocol
