// The binary protocol: bytes to requests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/binary/binary_request.h"
#include "protocol/parse_result.h"

namespace larder::protocol {

// A packet that announces more behind its header is refused.
inline constexpr std::uint32_t kBodyBytesMax = std::uint32_t{1} << 30;

// Takes the next packet from the front of `input`.
//
// A packet with wrong lengths is a refusal that takes all of the input with it: nothing can
// be read behind it, and the connection has to close after the answer. An unknown opcode is a
// refusal as well; its body is left to be swallowed. A value of a storage request that is not all
// there is kNeedValue. A value that is looked at as a whole is waited for, or, if it
// is longer than its opcode's awaited_bytes_max, left to be swallowed: `value` is empty then, while
// value_bytes is not 0. A first byte that begins no packet is kFatal.
//
// Allocates nothing, keeps nothing, and answers alike however the bytes were split. `request` is
// overwritten by kComplete and kNeedValue, and untouched otherwise.
ParseResult ParseBinary(std::string_view input, BinaryRequest& request) noexcept;

}  // namespace larder::protocol
