#include "protocol/encoding/base64.h"

#include <array>
#include <cstdint>

namespace larder::protocol {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr char kPadding = '=';
constexpr std::uint8_t kForeign = 0xff;

// The six bits of each byte of the alphabet; of the padding, zeros.
constexpr std::array<std::uint8_t, 256> kSextets = [] {
  std::array<std::uint8_t, 256> sextets{};
  sextets.fill(kForeign);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    sextets[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  sextets[static_cast<unsigned char>(kPadding)] = 0;
  return sextets;
}();

}  // namespace

std::string_view DecodeBase64(char* out, std::string_view text) noexcept {
  char* at = out;
  std::uint32_t block = 0;
  unsigned in_block = 0;
  unsigned padding = 0;
  bool is_over = false;  // The padding ends it, but all of the text has to come in fours.
  for (const char byte : text) {
    const std::uint8_t sextet = kSextets[static_cast<unsigned char>(byte)];
    if (sextet == kForeign) continue;
    block = block << 6 | sextet;
    if (!is_over) padding += byte == kPadding;
    if (++in_block < 4) continue;
    in_block = 0;
    if (is_over) continue;
    if (padding > 2) return {};
    at[0] = static_cast<char>(block >> 16);
    if (padding < 2) at[1] = static_cast<char>(block >> 8);
    if (padding < 1) at[2] = static_cast<char>(block);
    at += 3 - padding;
    is_over = padding > 0;
  }
  if (in_block != 0) return {};
  return {out, static_cast<std::size_t>(at - out)};
}

char* EncodeBase64(char* out, std::string_view bytes) noexcept {
  const auto byte_at = [&](std::size_t i) -> std::uint32_t {
    return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0;
  };
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::uint32_t block = byte_at(i) << 16 | byte_at(i + 1) << 8 | byte_at(i + 2);
    *out++ = kAlphabet[block >> 18];
    *out++ = kAlphabet[block >> 12 & 63];
    *out++ = i + 1 < bytes.size() ? kAlphabet[block >> 6 & 63] : kPadding;
    *out++ = i + 2 < bytes.size() ? kAlphabet[block & 63] : kPadding;
  }
  return out;
}

}  // namespace larder::protocol
