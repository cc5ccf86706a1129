// Percent-encoding (RFC 3986, section 2.1), in which `lru_crawler metadump` prints keys.
#pragma once

#include <cstddef>
#include <string_view>

namespace larder::protocol {

// The most bytes that the encoding of `bytes` bytes takes: three for each.
constexpr std::size_t PercentEncodedBytesMax(std::size_t bytes) { return 3 * bytes; }

// Writes `bytes` with every byte except the unreserved `A-Za-z0-9-._~` as %XX, in upper case.
// Returns the position behind the text. No NUL is added.
//
// REQUIRES: PercentEncodedBytesMax(bytes.size()) bytes are writable at `out`.
char* EncodePercent(char* out, std::string_view bytes) noexcept;

}  // namespace larder::protocol
