// The parts from which the reply line of a meta command is built.
//
// Threads: any; the functions use only their arguments.
#pragma once

#include <algorithm>
#include <cassert>
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

// The codes that begin a reply line. The return flags follow all of them except kMn and the
// kMetaMissing of me, which stand alone.
// Success without a value.
inline constexpr std::string_view kMetaDone = "HD";
// Success with a value: its length in bytes and the flags follow, then the value.
inline constexpr std::string_view kMetaValue = "VA ";
// mg or me: the key has no item.
inline constexpr std::string_view kMetaMissing = "EN";
// ms, md or ma: the key has no item.
inline constexpr std::string_view kMetaNotFound = "NF";
// ms: the conditions of the mode are not met.
inline constexpr std::string_view kMetaNotStored = "NS";
// The item's CAS is not the one of the request.
inline constexpr std::string_view kMetaExists = "EX";
// me: the key and the fields of the item follow.
inline constexpr std::string_view kMetaDebug = "ME ";
// The whole reply of mn.
inline constexpr std::string_view kMn = "MN\r\n";

// The reply of explain: this, the key, and then kExplainPresent with fields of the item, or what
// became of a removed item with fields of its removal record, or kExplainNotSeen.
inline constexpr std::string_view kExplainHead = "EXPLAIN ";
inline constexpr std::string_view kExplainPresent = " present";
inline constexpr std::string_view kExplainNotSeen = " not_seen";

// The most bytes that a reply line takes: code and size, key, opaque, six numbers, three marks and
// the line end.
inline constexpr std::size_t kMetaLineBytesMax =
    16 + EncodedBytes(kKeyBytesMax) + 4 + kOpaqueBytesMax + 2 + 6 * (kDecimalBytesMax + 3) + 6 + 2;

// Each of the functions below writes one flag with the space before it, and returns the position
// behind it. The caller provides enough space (kMetaLineBytesMax for a whole line).

// Writes a flag with its token as it is in the request, or a fixed text such as the marks W, X and
// Z of mg.
inline char* WriteMetaText(char* out, std::string_view text) noexcept {
  assert(!text.empty());
  *out++ = ' ';
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

// Writes a letter with a number.
inline char* WriteMetaNumber(char* out, char letter, std::uint64_t number) noexcept {
  *out++ = ' ';
  *out++ = letter;
  return WriteDecimal(out, number);
}

// Writes the key as flag k.
//
// REQUIRES: key.size() <= kKeyBytesMax.
inline char* WriteMetaKey(char* out, std::string_view key) noexcept {
  assert(key.size() <= kKeyBytesMax);
  *out++ = ' ';
  *out++ = 'k';
  return WriteKey(out, key);
}

// Writes the key in base64 as flag k, followed by the flag b.
//
// REQUIRES: key.size() <= kKeyBytesMax.
inline char* WriteEncodedMetaKey(char* out, std::string_view key) noexcept {
  assert(key.size() <= kKeyBytesMax);
  *out++ = ' ';
  *out++ = 'k';
  out = EncodeBase64(out, key);
  *out++ = ' ';
  *out++ = 'b';
  return out;
}

// Returns false for a key with a byte that a line cannot contain. Such a key, which came in a
// binary packet or in base64, can be printed in base64 only.
inline bool IsTextKey(std::string_view key) noexcept {
  return std::ranges::none_of(
      key, [](char byte) { return byte == ' ' || byte == '\n' || byte == '\r'; });
}

}  // namespace larder::protocol
