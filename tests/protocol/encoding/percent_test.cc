#include "protocol/encoding/percent.h"

#include <array>
#include <catch2/catch.hpp>
#include <string>

namespace larder::protocol {
namespace {

std::string Encode(std::string_view bytes) {
  std::string out(PercentEncodedBytesMax(bytes.size()), '\0');
  out.resize(static_cast<std::size_t>(EncodePercent(out.data(), bytes) - out.data()));
  return out;
}

TEST_CASE("unreserved bytes stay as they are", "[percent]") {
  const std::string bytes = "ABCXYZabcxyz0189-._~";
  CHECK(Encode(bytes) == bytes);
  CHECK(Encode("").empty());
}

TEST_CASE("all other bytes become their code in upper case", "[percent]") {
  CHECK(Encode("a%b") == "a%25b");
  CHECK(Encode("a:b/c d") == "a%3Ab%2Fc%20d");
  CHECK(Encode("\r\n") == "%0D%0A");
  CHECK(Encode(std::string_view("\0\xff", 2)) == "%00%FF");
  std::size_t encoded = 0;
  for (int byte = 0; byte < 256; ++byte) {
    encoded += Encode(std::string(1, static_cast<char>(byte))).size() == 3 ? 1 : 0;
  }
  CHECK(encoded == 256 - 66);
}

TEST_CASE("what was encoded is decoded to the same bytes", "[percent]") {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.push_back(static_cast<char>(byte));
  CHECK(DecodePercent(Encode(bytes)) == bytes);
  CHECK(DecodePercent("") == "");
  // Bytes that need no encoding, and digits in lower case.
  CHECK(DecodePercent("a:%2f b") == "a:/ b");
}

TEST_CASE("a percent sign without two digits is refused", "[percent]") {
  for (const auto* const text : {"%", "a%", "%4", "%4x", "%x4", "%-1", "%+1", "% 1", "%%41"}) {
    CAPTURE(text);
    CHECK_FALSE(DecodePercent(text).has_value());
  }
}

}  // namespace
}  // namespace larder::protocol
