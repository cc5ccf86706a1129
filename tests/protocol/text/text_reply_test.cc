#include "protocol/text/text_reply.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace larder::protocol {
namespace {

std::string Head(std::string_view key, std::uint32_t client_flags, std::uint32_t value_bytes) {
  std::string out(kValueHeadBytesMax, '?');
  const char* const end = WriteValueHead(out.data(), key, client_flags, value_bytes);
  out.resize(static_cast<std::size_t>(end - out.data()));
  return out;
}

std::string HeadWithCas(std::string_view key, std::uint32_t client_flags, std::uint32_t value_bytes,
                        std::uint64_t cas) {
  std::string out(kValueHeadBytesMax, '?');
  const char* const end = WriteValueHeadWithCas(out.data(), key, client_flags, value_bytes, cas);
  out.resize(static_cast<std::size_t>(end - out.data()));
  return out;
}

TEST_CASE("the head of a value names key, flags and bytes", "[protocol][reply]") {
  CHECK(Head("a", 0, 1) == "VALUE a 0 1\r\n");
  CHECK(Head("key", 7, 0) == "VALUE key 7 0\r\n");
  CHECK(Head("key", 4294967295, 1048576) == "VALUE key 4294967295 1048576\r\n");
}

TEST_CASE("the head of a value for gets names the CAS too", "[protocol][reply]") {
  CHECK(HeadWithCas("a", 0, 1, 100) == "VALUE a 0 1 100\r\n");
  CHECK(HeadWithCas("a", 12, 345, 0) == "VALUE a 12 345 0\r\n");
}

TEST_CASE("the longest head fills its limit to the byte", "[protocol][reply]") {
  const std::string key(kKeyBytesMax, 'k');
  const std::string head = HeadWithCas(key, ~0u, ~0u, ~std::uint64_t{0});
  CHECK(head == "VALUE " + key + " 4294967295 4294967295 18446744073709551615\r\n");
  CHECK(head.size() == kValueHeadBytesMax);
}

TEST_CASE("every request error has its line", "[protocol][reply]") {
  CHECK(ErrorText(LineError::kNone).empty());
  CHECK(ErrorText(LineError::kUnknownCommand) == "ERROR\r\n");
  CHECK(ErrorText(LineError::kBadLine) == "CLIENT_ERROR bad command line format\r\n");
  CHECK(ErrorText(LineError::kBadExptime) == "CLIENT_ERROR invalid exptime argument\r\n");
  CHECK(ErrorText(LineError::kBadDelta) == "CLIENT_ERROR invalid numeric delta argument\r\n");
  CHECK(ErrorText(LineError::kBadDataChunk) == "CLIENT_ERROR bad data chunk\r\n");
}

}  // namespace
}  // namespace larder::protocol
