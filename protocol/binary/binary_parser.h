// The parser of the binary protocol: turns bytes into requests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/binary/binary_request.h"
#include "protocol/parse_result.h"

namespace larder::protocol {

// The largest body of a packet. A packet that announces a longer one is refused with
// PacketError::kBadArguments, and its connection closes.
inline constexpr std::uint32_t kBodyBytesMax = std::uint32_t{1} << 30;

// Takes the next packet from the front of `input`. Returns:
//
// kComplete: `request` is valid. It may be a refusal (request.error is not kNone):
//   - wrong lengths: all of the input is consumed, because the start of the next packet cannot be
//     found. The connection must close after the reply.
//   - an unknown opcode: the header is consumed, and request.swallow_bytes of body follow it, which
//     the caller must discard.
// A value that its command reads as a whole but that is longer than the row's awaited_bytes_max is
// also left to be discarded: then `value` is empty, while value_bytes is not 0.
//
// kNeedValue: `request` is valid except for its value, of which not all bytes have arrived. After
// consumed_bytes the input goes on with the value, of request.value_bytes.
//
// kNeedMore: the head of the packet, or a value that is read as a whole, is not complete. Nothing
// was consumed.
//
// kFatal: the first byte is not kRequestMagic. Nothing was consumed; the connection must close.
//
// The function allocates nothing and keeps no state, and its results do not depend on how the bytes
// were split into calls. `request` is overwritten for kComplete and kNeedValue, and untouched
// otherwise. Its views point into `input`.
//
// Threads: any; the function uses only its arguments.
ParseResult ParseBinary(std::string_view input, BinaryRequest& request) noexcept;

}  // namespace larder::protocol
