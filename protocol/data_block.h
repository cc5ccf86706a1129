// The data block that follows the line of a storage command, in the text and the meta protocol.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/parse_result.h"

namespace larder::protocol {

// The largest <bytes> of a storage command that memcached accepts as a number.
inline constexpr std::uint32_t kValueBytesMax = 2147483645;

// Takes the data block of a storage request, of value_bytes and a CRLF, if that is in the input.
// One that ends otherwise is left to the receiver of values, as one that is not all there: so what
// is answered first, that it is too large or that it ends badly, does not depend on how the bytes
// were split. `value_at` is where the block begins.
//
// REQUIRES: value_at <= input.size().
[[gnu::always_inline]] inline ParseResult TakeValue(std::string_view input, std::size_t value_at,
                                                    std::uint32_t value_bytes,
                                                    std::string_view& value) noexcept {
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
