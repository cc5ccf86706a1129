// Base64 with the standard alphabet and padding (RFC 4648): binary keys of the meta commands.
#pragma once

#include <cstddef>
#include <string_view>

namespace larder::protocol {

// The most bytes that a text of `text_bytes` can decode to.
constexpr std::size_t DecodedBytesMax(std::size_t text_bytes) { return text_bytes / 4 * 3; }
// The exact length of the text for `bytes` bytes, padding included.
constexpr std::size_t EncodedBytes(std::size_t bytes) { return (bytes + 2) / 3 * 4; }

// Decodes `text` into `out`. Bytes that are not in the alphabet are skipped, as in memcached; the
// number of the other ones must be a multiple of four.
//
// Returns a view of the bytes written to `out`; it is empty if `text` is not base64 or has no
// digits. The bytes at `out` may have been overwritten even then.
//
// REQUIRES: DecodedBytesMax(text.size()) bytes are writable at `out`.
std::string_view DecodeBase64(char* out, std::string_view text) noexcept;

// Encodes `bytes` into `out` and returns the position behind the text. No NUL is added.
//
// REQUIRES: EncodedBytes(bytes.size()) bytes are writable at `out`.
char* EncodeBase64(char* out, std::string_view bytes) noexcept;

}  // namespace larder::protocol
