// The layout of the binary protocol's packets.
//
//   request  |0x80|opcode|key bytes 2|extras bytes 1|data type 1|vbucket 2|
//            |body bytes 4|opaque 4|CAS 8|extras|key|value|
//   reply    |0x81|opcode|key bytes 2|extras bytes 1|data type 1|status 2 |
//            |body bytes 4|opaque 4|CAS 8|extras|key|value|
//
// All numbers are big-endian; the body is extras, key and value.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

#include "protocol/parse_result.h"

namespace larder::protocol {

inline constexpr unsigned char kReplyMagic = 0x81;
inline constexpr std::size_t kPacketHeadBytes = 24;

// The exptime of an incr or decr that is not to create its key.
inline constexpr std::uint32_t kNeverCreate = 0xffffffff;

template <class T>
constexpr T ByteSwapIfLittle(T number) noexcept {
  static_assert(std::is_unsigned_v<T>);
  if constexpr (std::endian::native == std::endian::little) {
    if constexpr (sizeof(T) == 2) return __builtin_bswap16(number);
    if constexpr (sizeof(T) == 4) return __builtin_bswap32(number);
    if constexpr (sizeof(T) == 8) return __builtin_bswap64(number);
  }
  return number;
}

template <class T>
T LoadBig(const char* at) noexcept {
  T number;
  std::memcpy(&number, at, sizeof number);
  return ByteSwapIfLittle(number);
}

template <class T>
void StoreBig(char* at, T number) noexcept {
  number = ByteSwapIfLittle(number);
  std::memcpy(at, &number, sizeof number);
}

// What a reply repeats of its request.
struct Echo {
  std::uint8_t opcode = 0;
  std::uint32_t opaque = 0;  // Four bytes as they came: a number to the client only.
};

// RequestPacket reads what a BinaryRequest has no field for.
//
// Threads: immutable.
// Owns:    nothing; `head` outlives it.
class RequestPacket {
 public:
  // REQUIRES: head is a packet's header with all of its extras.
  explicit RequestPacket(std::string_view head) : head_(head.data()) {}

  Echo echo() const noexcept {
    Echo echo{.opcode = static_cast<std::uint8_t>(head_[1])};
    std::memcpy(&echo.opaque, head_ + 12, sizeof echo.opaque);
    return echo;
  }
  // incr and decr: what a missing key is created with.
  std::uint64_t initial() const noexcept {
    return LoadBig<std::uint64_t>(head_ + kPacketHeadBytes + 8);
  }

 private:
  const char* head_;
};

}  // namespace larder::protocol
