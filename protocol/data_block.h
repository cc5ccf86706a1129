// The data block that follows the line of a storage command, in the text and the meta protocol.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/parse_result.h"

namespace larder::protocol {

// The largest <bytes> of a storage command that memcached accepts as a number. A larger one makes
// the line malformed, while one up to here can only be too large for the cache.
inline constexpr std::uint32_t kValueBytesMax = 2147483645;

// Takes the data block of a storage request: value_bytes and a CRLF, which begin at `value_at`.
//
// Returns kComplete and sets `value` if the whole block is in the input and ends with CRLF.
// Otherwise returns kNeedValue with `value` unchanged; consumed_bytes is value_at then. A block
// with a wrong end is reported like an incomplete one on purpose: the receiver of values checks the
// end. So the first error found (value too large, or wrong end) does not depend on how the bytes
// were split.
//
// Always inlined: a call would cost more than the body.
//
// REQUIRES: value_at <= input.size(), and value_bytes <= kValueBytesMax.
[[gnu::always_inline]] inline ParseResult TakeValue(std::string_view input, std::size_t value_at,
                                                    std::uint32_t value_bytes,
                                                    std::string_view& value) noexcept {
  assert(value_at <= input.size());
  assert(value_bytes <= kValueBytesMax);
  const std::size_t block_bytes = std::size_t{value_bytes} + 2;
  if (input.size() - value_at < block_bytes) return {ParseStatus::kNeedValue, value_at};
  const char* const begin = input.data() + value_at;
  if (begin[value_bytes] != '\r' || begin[value_bytes + 1] != '\n') [[unlikely]] {
    return {ParseStatus::kNeedValue, value_at};
  }
  value = {begin, value_bytes};
  return {ParseStatus::kComplete, value_at + block_bytes};
}

}  // namespace larder::protocol
