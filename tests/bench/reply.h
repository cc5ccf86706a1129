// Reading a server's replies to get and set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace larder::bench {

// The opcodes that a load is made of.
inline constexpr std::uint8_t kBinaryGet = 0x00;
inline constexpr std::uint8_t kBinarySet = 0x01;
inline constexpr std::uint8_t kBinaryNoop = 0x0a;
inline constexpr std::uint8_t kBinaryGetKQ = 0x0d;

enum class ReplyKind : std::uint8_t {
  kNeedMore,  // Not a whole reply yet: nothing consumed.
  kValue,     // VALUE or VA line and data of one hit: `key` and `value` are set.
  kEnd,       // The end of a retrieval: END, or EN.
  kStored,
  kOther,  // Any other line, an error most of the time: `line` is set.
};

// Views live as long as the input they were read from.
struct [[nodiscard]] Reply {
  ReplyKind kind = ReplyKind::kNeedMore;
  std::size_t consumed_bytes = 0;
  bool is_last = false;  // kValue: nothing more is answered to this request.
  std::string_view key;  // Empty if the reply does not repeat it.
  std::string_view value;
  std::string_view line;
};

// The reply, or part of a retrieval's reply, at the front of `input`.
Reply ReadReply(std::string_view input);

// The same of the binary protocol, for Get, GetKQ, Set and No-op. Any other packet is kOther, its
// value the line.
Reply ReadBinaryReply(std::string_view input);

}  // namespace larder::bench
