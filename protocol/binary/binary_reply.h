// The reply packets of the binary protocol.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "protocol/binary/binary_packet.h"
#include "protocol/parse_result.h"

namespace larder::protocol {

enum class BinaryStatus : std::uint16_t {
  kSuccess = 0x00,
  kKeyNotFound = 0x01,
  kKeyExists = 0x02,
  kValueTooLarge = 0x03,
  kInvalidArguments = 0x04,
  kItemNotStored = 0x05,
  kValueNotNumeric = 0x06,
  kAuthError = 0x20,
  kAuthContinue = 0x21,
  kUnknownCommand = 0x81,
  kOutOfMemory = 0x82,
};

// The value of an error reply. kOutOfMemory has several, chosen by who answers.
constexpr std::string_view StatusText(BinaryStatus status) noexcept {
  switch (status) {
    case BinaryStatus::kSuccess:
    case BinaryStatus::kAuthContinue:
      return {};
    case BinaryStatus::kKeyNotFound:
      return "Not found";
    case BinaryStatus::kKeyExists:
      return "Data exists for key.";
    case BinaryStatus::kValueTooLarge:
      return "Too large.";
    case BinaryStatus::kInvalidArguments:
      return "Invalid arguments";
    case BinaryStatus::kItemNotStored:
      return "Not stored.";
    case BinaryStatus::kValueNotNumeric:
      return "Non-numeric server-side value for incr or decr";
    case BinaryStatus::kAuthError:
      return "Auth failure.";
    case BinaryStatus::kUnknownCommand:
      return "Unknown command";
    case BinaryStatus::kOutOfMemory:
      return "Out of memory";
  }
  return {};
}

inline constexpr std::string_view kNoMemoryForItem = "Out of memory allocating item";
inline constexpr std::string_view kNoMemoryForNewItem = "Out of memory allocating new item";
inline constexpr std::string_view kNoMemoryForNumber = "Out of memory incrementing value";

// The key under which `stat detail dump` answers.
inline constexpr std::string_view kDetailedKey = "detailed";

// The parts of a reply. The body is the extras, the key and value_bytes more.
struct ReplyShape {
  BinaryStatus status = BinaryStatus::kSuccess;
  std::uint8_t extras_bytes = 0;
  std::size_t key_bytes = 0;  // At most 65535.
  std::size_t value_bytes = 0;
  std::uint64_t cas = 0;
};

// The header of a reply; returns where it stops.
//
// REQUIRES: kPacketHeadBytes at `out`.
inline char* WriteReplyHead(char* out, const Echo& echo, const ReplyShape& shape) noexcept {
  out[0] = static_cast<char>(kReplyMagic);
  out[1] = static_cast<char>(echo.opcode);
  StoreBig(out + 2, static_cast<std::uint16_t>(shape.key_bytes));
  out[4] = static_cast<char>(shape.extras_bytes);
  out[5] = 0;
  StoreBig(out + 6, static_cast<std::uint16_t>(shape.status));
  StoreBig(out + 8,
           static_cast<std::uint32_t>(shape.extras_bytes + shape.key_bytes + shape.value_bytes));
  std::memcpy(out + 12, &echo.opaque, sizeof echo.opaque);
  StoreBig(out + 16, shape.cas);
  return out + kPacketHeadBytes;
}

// The most bytes that stand before the value of a found item: header, flags and key.
inline constexpr std::size_t kHitHeadBytesMax =
    kPacketHeadBytes + sizeof(std::uint32_t) + kKeyBytesMax;

}  // namespace larder::protocol
