// The binary protocol: bytes to Request.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/request.h"

namespace larder::protocol {

// A packet that announces more behind its header is refused.
inline constexpr std::uint32_t kBodyBytesMax = std::uint32_t{1} << 30;

// The longest value of a SASL packet that is looked at.
inline constexpr std::uint32_t kSaslValueBytesMax = 16 * 1024;

// Takes the next packet from the front of `input`. Its header and extras are Request::arguments.
//
// A packet with wrong lengths is a kError request that takes all of the input with it: nothing can
// be read behind it, and the connection has to close after the answer. An unknown opcode is a
// kError as well; its body is left to be swallowed. A value of a storage request that is not all
// there is kNeedValue. The value of a SASL request is waited for, or, if it is longer than
// kSaslValueBytesMax, left to be swallowed: `value` is empty then, while value_bytes is not 0; so
// is that of a config set, with kConfigValueBytesMax. A first byte that begins no packet is kFatal.
//
// Allocates nothing, keeps nothing, and answers alike however the bytes were split. `request` is
// overwritten by kComplete and kNeedValue, and untouched otherwise.
ParseResult ParseBinary(std::string_view input, Request& request) noexcept;

}  // namespace larder::protocol
