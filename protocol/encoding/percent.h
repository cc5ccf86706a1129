// Keys as `lru_crawler metadump` shows them: percent-encoded (RFC 3986, section 2.1).
#pragma once

#include <cstddef>
#include <string_view>

namespace larder::protocol {

constexpr std::size_t PercentEncodedBytesMax(std::size_t bytes) { return 3 * bytes; }

// All bytes but the unreserved `A-Za-z0-9-._~` become %XX, upper case. Returns where the text ends.
//
// REQUIRES: PercentEncodedBytesMax(bytes.size()) bytes at `out`.
char* EncodePercent(char* out, std::string_view bytes) noexcept;

}  // namespace larder::protocol
