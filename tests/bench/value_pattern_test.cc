#include "tests/bench/value_pattern.h"

#include <catch2/catch.hpp>
#include <string>

namespace larder::bench {
namespace {

constexpr std::size_t kValueBytesMax = 5000;

std::string Written(const ValuePattern& values, std::uint64_t key, std::uint8_t version,
                    std::size_t value_bytes) {
  std::string value(value_bytes, '?');
  values.Write(key, version, value.data(), value_bytes);
  return value;
}

TEST_CASE("a value matches its key in every version and length", "[bench][value_pattern]") {
  const ValuePattern values(1, kValueBytesMax);
  const std::size_t value_bytes = GENERATE(0, 1, 7, 8, 9, 100, kValueBytesMax);
  const int version = GENERATE(0, 1, 255);
  CAPTURE(value_bytes, version);
  CHECK(values.Matches(5, Written(values, 5, static_cast<std::uint8_t>(version), value_bytes)));
}

TEST_CASE("one wrong byte anywhere is found", "[bench][value_pattern]") {
  const ValuePattern values(1, kValueBytesMax);
  const std::string value = Written(values, 5, 3, 100);
  for (std::size_t at = 0; at < value.size(); ++at) {
    CAPTURE(at);
    std::string wrong = value;
    wrong[at] = static_cast<char>(wrong[at] ^ 1);
    CHECK_FALSE(values.Matches(5, wrong));
  }
}

TEST_CASE("the value of another key, seed or length does not match", "[bench][value_pattern]") {
  const ValuePattern values(1, kValueBytesMax);
  const std::string value = Written(values, 5, 3, 100);
  CHECK_FALSE(values.Matches(6, value));
  CHECK_FALSE(ValuePattern(2, kValueBytesMax).Matches(5, value));
  CHECK_FALSE(values.Matches(5, value.substr(0, 99)));
  CHECK_FALSE(values.Matches(5, value + "x"));
}

TEST_CASE("a value torn between two versions does not match", "[bench][value_pattern]") {
  const ValuePattern values(1, kValueBytesMax);
  const std::string old_value = Written(values, 5, 3, 100);
  const std::string new_value = Written(values, 5, 4, 100);
  for (std::size_t at = 1; at < 100; ++at) {
    CAPTURE(at);
    CHECK_FALSE(values.Matches(5, new_value.substr(0, at) + old_value.substr(at)));
  }
}

}  // namespace
}  // namespace larder::bench
