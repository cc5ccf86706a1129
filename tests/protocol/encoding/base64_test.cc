#include "protocol/encoding/base64.h"

#include <array>
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <string_view>

namespace larder::protocol {
namespace {

std::string Decoded(std::string_view text) {
  std::string room(DecodedBytesMax(text.size()), '?');
  return std::string(DecodeBase64(room.data(), text));
}

std::string Encoded(std::string_view bytes) {
  std::string room(EncodedBytes(bytes.size()), '?');
  CHECK(EncodeBase64(room.data(), bytes) == room.data() + room.size());
  return room;
}

TEST_CASE("base64 of RFC 4648", "[protocol][base64]") {
  const std::array<std::array<std::string_view, 2>, 6> pairs = {{{"f", "Zg=="},
                                                                 {"fo", "Zm8="},
                                                                 {"foo", "Zm9v"},
                                                                 {"foob", "Zm9vYg=="},
                                                                 {"fooba", "Zm9vYmE="},
                                                                 {"foobar", "Zm9vYmFy"}}};
  for (const auto& [bytes, text] : pairs) {
    CHECK(Encoded(bytes) == text);
    CHECK(Decoded(text) == bytes);
  }
}

TEST_CASE("what was encoded is decoded", "[protocol][base64][property]") {
  const auto seed = GENERATE(take(20, random(0U, 1'000'000'000U)));
  CAPTURE(seed);
  std::mt19937 random(seed);
  std::string bytes(1 + random() % 186, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  CHECK(Decoded(Encoded(bytes)) == bytes);
}

TEST_CASE("a text that is no base64 decodes to nothing", "[protocol][base64]") {
  for (const std::string_view text :
       {"", "a", "ab", "abc", "YQ=", "====", "Y===", "!!!!", "YWI=a"}) {
    CAPTURE(std::string(text));
    CHECK(Decoded(text).empty());
  }
}

TEST_CASE("foreign bytes are skipped, and the padding ends the text", "[protocol][base64]") {
  CHECK(Decoded("Y!Q\n==") == "a");
  CHECK(Decoded("YQ==YQ==") == "a");
}

}  // namespace
}  // namespace larder::protocol
