// Percent-encoding (RFC 3986, section 2.1), in which `lru_crawler metadump` and `watch` print keys.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace larder::protocol {

// The most bytes that the encoding of `bytes` bytes takes: three for each.
constexpr std::size_t PercentEncodedBytesMax(std::size_t bytes) { return 3 * bytes; }

// Writes `bytes` with every byte except the unreserved `A-Za-z0-9-._~` as %XX, in upper case.
// Returns the position behind the text. No NUL is added.
//
// REQUIRES: PercentEncodedBytesMax(bytes.size()) bytes are writable at `out`.
char* EncodePercent(char* out, std::string_view bytes) noexcept;

// Returns the bytes that `text` encodes: %XX with digits of either case is one byte, everything
// else stands for itself. Nothing if a % has no two hexadecimal digits behind it.
std::optional<std::string> DecodePercent(std::string_view text);

}  // namespace larder::protocol
