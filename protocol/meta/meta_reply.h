// The parts of a meta command's reply line.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "protocol/encoding/base64.h"
#include "protocol/encoding/numbers.h"
#include "protocol/encoding/write.h"
#include "protocol/meta/meta_flags.h"
#include "protocol/parse_result.h"

namespace larder::protocol {

// Flags follow all but kMn, and kMetaMissing of me.
inline constexpr std::string_view kMetaDone = "HD";
inline constexpr std::string_view kMetaValue = "VA ";
inline constexpr std::string_view kMetaMissing = "EN";
inline constexpr std::string_view kMetaNotFound = "NF";
inline constexpr std::string_view kMetaNotStored = "NS";
inline constexpr std::string_view kMetaExists = "EX";
inline constexpr std::string_view kMetaDebug = "ME ";
inline constexpr std::string_view kMn = "MN\r\n";

// explain: key, kExplainPresent or what became of it, and fields.
inline constexpr std::string_view kExplainHead = "EXPLAIN ";
inline constexpr std::string_view kExplainPresent = " present";
inline constexpr std::string_view kExplainNotSeen = " not_seen";

// The most that a reply line takes: its code and size, key, opaque, six numbers, three marks.
inline constexpr std::size_t kMetaLineBytesMax =
    16 + EncodedBytes(kKeyBytesMax) + 4 + kOpaqueBytesMax + 2 + 6 * (kDecimalBytesMax + 3) + 6 + 2;

// Each writes one flag with the space before it, and returns where it stops.

// As it stood in the request, or a mark of mg.
inline char* WriteMetaText(char* out, std::string_view text) noexcept {
  *out++ = ' ';
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

inline char* WriteMetaNumber(char* out, char letter, std::uint64_t number) noexcept {
  *out++ = ' ';
  *out++ = letter;
  return WriteDecimal(out, number);
}

// REQUIRES: key.size() <= kKeyBytesMax.
inline char* WriteMetaKey(char* out, std::string_view key, bool is_encoded) noexcept {
  *out++ = ' ';
  *out++ = 'k';
  if (!is_encoded) return WriteKey(out, key);
  out = EncodeBase64(out, key);
  *out++ = ' ';
  *out++ = 'b';
  return out;
}

// False for a key that no line can hold: it can be printed in base64 only.
inline bool IsTextKey(std::string_view key) noexcept {
  return std::ranges::none_of(
      key, [](char byte) { return byte == ' ' || byte == '\n' || byte == '\r'; });
}

}  // namespace larder::protocol
