// Keys that the meta commands send as base64: the standard alphabet with padding (RFC 4648).
#pragma once

#include <cstddef>
#include <string_view>

namespace larder::protocol {

constexpr std::size_t DecodedBytesMax(std::size_t text_bytes) { return text_bytes / 4 * 3; }
constexpr std::size_t EncodedBytes(std::size_t bytes) { return (bytes + 2) / 3 * 4; }

// As memcached, skips bytes that are not in the alphabet; the others must come in fours. Returns
// what was written to `out`, empty if the text is no base64.
//
// REQUIRES: DecodedBytesMax(text.size()) bytes at `out`.
std::string_view DecodeBase64(char* out, std::string_view text) noexcept;

// Returns where the text ends.
//
// REQUIRES: EncodedBytes(bytes.size()) bytes at `out`.
char* EncodeBase64(char* out, std::string_view bytes) noexcept;

}  // namespace larder::protocol
