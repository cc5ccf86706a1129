#include "protocol/encoding/base64.h"

#include <array>
#include <cassert>
#include <cstdint>

namespace larder::protocol {
namespace {

// The digits of base64 in the order of their values (RFC 4648, table 1).
constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static_assert(kAlphabet.size() == 64);
// Fills the last group of four digits.
constexpr char kPadding = '=';
// Marks a byte that is not in the alphabet.
constexpr std::uint8_t kForeign = 0xff;

// The value (six bits) of each byte of the alphabet; 0 for the padding, kForeign for all others.
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

  // The four digits of a group are collected in `block`, six bits each.
  std::uint32_t block = 0;
  unsigned in_block = 0;
  unsigned padding = 0;
  // The padding ends the data. The digits behind it are counted, not decoded, because the length of
  // the whole text must be a multiple of four.
  bool is_over = false;
  for (const char byte : text) {
    const std::uint8_t sextet = kSextets[static_cast<unsigned char>(byte)];
    if (sextet == kForeign) continue;
    block = block << 6 | sextet;
    if (!is_over) padding += byte == kPadding;
    if (++in_block < 4) continue;
    in_block = 0;
    if (is_over) continue;
    // A group stands for at least one byte, so it has at most two padding bytes.
    if (padding > 2) return {};
    at[0] = static_cast<char>(block >> 16);
    if (padding < 2) at[1] = static_cast<char>(block >> 8);
    if (padding < 1) at[2] = static_cast<char>(block);
    at += 3 - padding;
    is_over = padding > 0;
  }
  assert(static_cast<std::size_t>(at - out) <= DecodedBytesMax(text.size()));
  if (in_block != 0) return {};
  return {out, static_cast<std::size_t>(at - out)};
}

char* EncodeBase64(char* out, std::string_view bytes) noexcept {
  [[maybe_unused]] const char* const begin = out;
  // Bytes behind the end count as zero bits; the padding shows how many bytes are real.
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
  assert(static_cast<std::size_t>(out - begin) == EncodedBytes(bytes.size()));
  return out;
}

}  // namespace larder::protocol
