#include "tests/bench/key_format.h"

#include <catch2/catch.hpp>
#include <string>

namespace larder::bench {
namespace {

std::string Written(const KeyFormat& format, std::uint64_t number) {
  std::string key(format.key_bytes(), '?');
  format.Write(number, key.data());
  return key;
}

TEST_CASE("a key has its length and reads back as its number", "[bench][key_format]") {
  const std::size_t key_bytes = GENERATE(2, 9, 16, 17, 18, 20, 250);
  const KeyFormat format(key_bytes);
  for (const std::uint64_t number :
       {std::uint64_t{0}, std::uint64_t{15}, std::uint64_t{100'000}, ~std::uint64_t{0}}) {
    if (!format.Fits(number)) continue;
    CAPTURE(key_bytes, number);
    const std::string key = Written(format, number);
    CHECK(key.front() == 'k');
    CHECK(format.Read(key) == number);
  }
}

TEST_CASE("a number with more digits than the key does not fit", "[bench][key_format]") {
  CHECK(KeyFormat(2).Fits(15));
  CHECK_FALSE(KeyFormat(2).Fits(16));
  CHECK_FALSE(KeyFormat(16).Fits(~std::uint64_t{0}));
  CHECK(KeyFormat(17).Fits(~std::uint64_t{0}));
}

TEST_CASE("text that is no such key reads as nothing", "[bench][key_format]") {
  const KeyFormat format(5);
  CHECK_FALSE(format.Read(""));
  CHECK_FALSE(format.Read("k001"));
  CHECK_FALSE(format.Read("k00111"));
  CHECK_FALSE(format.Read("x0011"));
  CHECK_FALSE(format.Read("k00g1"));
}

}  // namespace
}  // namespace larder::bench
