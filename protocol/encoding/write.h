// Copies texts and keys into a reply.
//
// Threads: any; the functions use only their arguments.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

namespace larder::protocol {

// The line end of the text and the meta protocol.
inline constexpr std::string_view kCrlf = "\r\n";

// Copies a text and returns the position behind it. It is always inlined, because a text whose
// length is a constant then costs a store or two.
//
// REQUIRES: text.size() bytes are writable at `out`.
[[gnu::always_inline]] inline char* WriteText(char* out, std::string_view text) noexcept {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

// Copies a key and returns the position behind it. Keys of 16 to 32 bytes are copied as two blocks
// that may overlap, because for such keys a call of memcpy would cost more than the copying.
//
// REQUIRES: key.size() bytes are writable at `out`.
inline char* WriteKey(char* out, std::string_view key) noexcept {
  constexpr std::size_t kBlockBytes = 16;
  const std::size_t bytes = key.size();
  if (bytes < kBlockBytes || bytes > 2 * kBlockBytes) {
    std::memcpy(out, key.data(), bytes);
  } else {
    std::memcpy(out, key.data(), kBlockBytes);
    std::memcpy(out + bytes - kBlockBytes, key.data() + bytes - kBlockBytes, kBlockBytes);
  }
  return out + bytes;
}

}  // namespace larder::protocol
