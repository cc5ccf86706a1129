// Reading a server's replies to get and set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace larder::bench {

enum class ReplyKind : std::uint8_t {
  kNeedMore,  // Not a whole reply yet: nothing consumed.
  kValue,     // VALUE line and data of one hit: `key` and `value` are set.
  kEnd,       // The end of a retrieval.
  kStored,
  kOther,  // Any other line, an error most of the time: `line` is set.
};

// Views live as long as the input they were read from.
struct [[nodiscard]] Reply {
  ReplyKind kind = ReplyKind::kNeedMore;
  std::size_t consumed_bytes = 0;
  std::string_view key;
  std::string_view value;
  std::string_view line;
};

// The reply, or part of a retrieval's reply, at the front of `input`.
Reply ReadReply(std::string_view input);

}  // namespace larder::bench
