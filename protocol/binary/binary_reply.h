// The reply packets of the binary protocol: status codes, error texts and the header.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "protocol/binary/binary_packet.h"
#include "protocol/parse_result.h"

namespace larder::protocol {

// The status field of a reply. The numbers are those of memcached's protocol_binary.h.
enum class BinaryStatus : std::uint16_t {
  // Success of any command; also an item that was found.
  kSuccess = 0x00,
  // The key has no item.
  kKeyNotFound = 0x01,
  // The item's CAS differs from that of the request, or an add found an item, or a cluster
  // configuration is not newer than the current one.
  kKeyExists = 0x02,
  // The value is larger than the server accepts.
  kValueTooLarge = 0x03,
  // Wrong lengths of the packet, or arguments that the command does not accept.
  kInvalidArguments = 0x04,
  // The value was not stored, for example because an append found no item.
  kItemNotStored = 0x05,
  // The stored value is not a decimal number of 64 bits.
  kValueNotNumeric = 0x06,
  // The credentials are wrong, or the command needs an authenticated client.
  kAuthError = 0x20,
  // The SASL exchange has a further step.
  kAuthContinue = 0x21,
  // The opcode is unknown.
  kUnknownCommand = 0x81,
  // No memory was available; also the errors for which the protocol has no code of its own.
  kOutOfMemory = 0x82,
};

// The text of an error reply, which is sent as its value; empty where there is none. The text for
// kOutOfMemory is the general one: some commands send one of the three constants below instead.
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
  assert(false && "a status without a text");
  return {};
}

// More specific texts for kOutOfMemory: no memory for an item in general, for the item that an incr
// or decr creates, and for the changed number of an incr or decr.
inline constexpr std::string_view kNoMemoryForItem = "Out of memory allocating item";
inline constexpr std::string_view kNoMemoryForNewItem = "Out of memory allocating new item";
inline constexpr std::string_view kNoMemoryForNumber = "Out of memory incrementing value";

// The key of the one reply packet to `stat detail dump`.
inline constexpr std::string_view kDetailedKey = "detailed";

// The lengths and numbers in the header of a reply. The body is extras_bytes + key_bytes +
// value_bytes long.
struct ReplyShape {
  // What became of the request.
  BinaryStatus status = BinaryStatus::kSuccess;
  // The length of the extras: 4 (the client flags) for an item that was found, otherwise 0.
  std::uint8_t extras_bytes = 0;
  // The length of the key in the reply; at most 65535, because the field has 16 bits.
  std::size_t key_bytes = 0;
  // The length of the value, or of the error text.
  std::size_t value_bytes = 0;
  // The CAS of the item; 0 where there is none.
  std::uint64_t cas = 0;
};

// Writes the header of a reply and returns the position behind it. The caller writes the body.
//
// REQUIRES: kPacketHeadBytes are writable at `out`; the key has at most 65535 bytes, and the body
// is shorter than 4 GiB.
[[gnu::always_inline]] inline char* WriteReplyHead(char* out, const Echo& echo,
                                                   const ReplyShape& shape) noexcept {
  assert(shape.key_bytes <= UINT16_MAX);
  assert(shape.extras_bytes + shape.key_bytes + shape.value_bytes <= UINT32_MAX);
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

// The most bytes that precede the value in the reply for an item that was found: header, client
// flags and key.
inline constexpr std::size_t kHitHeadBytesMax =
    kPacketHeadBytes + sizeof(std::uint32_t) + kKeyBytesMax;

}  // namespace larder::protocol
