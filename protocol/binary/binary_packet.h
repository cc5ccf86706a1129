// The layout of the packets of the binary protocol, and the loads and stores of their numbers.
//
//   request  |0x80|opcode|key bytes 2|extras bytes 1|data type 1|vbucket 2|
//            |body bytes 4|opaque 4|CAS 8|extras|key|value|
//   reply    |0x81|opcode|key bytes 2|extras bytes 1|data type 1|status 2 |
//            |body bytes 4|opaque 4|CAS 8|extras|key|value|
//
// The numbers behind the names are field widths in bytes. All integers are big-endian. "Body" means
// the extras, the key and the value together, so the value has body - extras - key bytes. The data
// type and the vbucket of a request are not read, as in memcached.
#pragma once

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

#include "protocol/parse_result.h"

namespace larder::protocol {

// The first byte of every reply packet. The first byte of a request is kRequestMagic (see
// protocol/parse_result.h).
inline constexpr unsigned char kReplyMagic = 0x81;
// The length of the fixed part of a packet: everything before the extras.
inline constexpr std::size_t kPacketHeadBytes = 24;

// The exptime with which an incr or decr says that a missing key must not be created.
inline constexpr std::uint32_t kNeverCreate = 0xffffffff;

// Converts between the byte order of the wire (big-endian) and that of this machine; the conversion
// is the same in both directions. `T` is an unsigned type of 2, 4 or 8 bytes (or of one byte, which
// is returned unchanged).
template <class T>
constexpr T ByteSwapIfLittle(T number) noexcept {
  static_assert(std::is_unsigned_v<T>);
  static_assert(sizeof(T) <= sizeof(std::uint64_t) && std::has_single_bit(sizeof(T)));
  if constexpr (std::endian::native == std::endian::little) {
    if constexpr (sizeof(T) == 2) return __builtin_bswap16(number);
    if constexpr (sizeof(T) == 4) return __builtin_bswap32(number);
    if constexpr (sizeof(T) == 8) return __builtin_bswap64(number);
  }
  return number;
}

// Reads a big-endian number from `at`, which needs no alignment.
//
// REQUIRES: sizeof(T) bytes at `at` are readable.
template <class T>
T LoadBig(const char* at) noexcept {
  T number;
  std::memcpy(&number, at, sizeof number);
  return ByteSwapIfLittle(number);
}

// Writes `number` to `at` as a big-endian number; `at` needs no alignment.
//
// REQUIRES: sizeof(T) bytes at `at` are writable.
template <class T>
void StoreBig(char* at, T number) noexcept {
  number = ByteSwapIfLittle(number);
  std::memcpy(at, &number, sizeof number);
}

// The fields of a request that its reply must repeat, so that the client can match the two.
struct Echo {
  // The opcode byte as it was received, which may be an unknown opcode.
  std::uint8_t opcode = 0;
  // Four bytes chosen by the client. They are copied, never converted: only the client knows what
  // number they are.
  std::uint32_t opaque = 0;
};

// RequestPacket reads those fields of a packet that BinaryRequest does not copy, because few
// requests need them.
//
// Threads: immutable.
// Owns:    nothing; the bytes of `head` must outlive it.
class RequestPacket {
 public:
  // REQUIRES: `head` begins with the header of a request packet.
  explicit RequestPacket(std::string_view head) : head_(head.data()) {
    assert(head.size() >= kPacketHeadBytes);
    assert(static_cast<unsigned char>(head[0]) == kRequestMagic);
  }

  // The fields that the reply repeats.
  Echo echo() const noexcept {
    Echo echo{.opcode = static_cast<std::uint8_t>(head_[1])};
    std::memcpy(&echo.opaque, head_ + 12, sizeof echo.opaque);
    return echo;
  }
  // The number with which an incr or decr creates a missing key.
  //
  // REQUIRES: the packet is an incr or decr, whose extras follow its header: delta, initial value
  // and exptime.
  std::uint64_t initial() const noexcept {
    assert(static_cast<unsigned char>(head_[4]) == 20);
    return LoadBig<std::uint64_t>(head_ + kPacketHeadBytes + 8);
  }

 private:
  // The first byte of the header.
  const char* head_;
};

}  // namespace larder::protocol
