// The data block that follows the line of a storage command, in the text and the meta protocol.
#pragma once

#include <cstddef>
#include <cstdint>

#include "protocol/request.h"

namespace larder::protocol {

// The largest <bytes> of a storage command that memcached accepts as a number.
inline constexpr std::uint32_t kValueBytesMax = 2147483645;

// Completes a storage request with its data block, if that is in the input and ends in CRLF. One
// that ends otherwise is left to the receiver of values, as one that is not all there: so what is
// answered first, that it is too large or that it ends badly, does not depend on how the bytes were
// split. `value_at` is where the block begins, `request` complete but for its value.
//
// REQUIRES: value_at <= input.size().
[[gnu::always_inline]] inline ParseResult TakeValue(std::string_view input, std::size_t value_at,
                                                    Request& request) noexcept {
  const std::size_t block_bytes = std::size_t{request.value_bytes} + 2;
  if (input.size() - value_at < block_bytes) return {ParseStatus::kNeedValue, value_at};
  const char* const value = input.data() + value_at;
  if (value[request.value_bytes] != '\r' || value[request.value_bytes + 1] != '\n') [[unlikely]] {
    return {ParseStatus::kNeedValue, value_at};
  }
  request.value = {value, request.value_bytes};
  return {ParseStatus::kComplete, value_at + block_bytes};
}

}  // namespace larder::protocol
