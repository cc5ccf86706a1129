// Copies texts and keys into a reply.
#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>

namespace larder::protocol {

inline constexpr std::string_view kCrlf = "\r\n";

// Copies a text; returns where it stops. Inlined, a constant one costs a store or two.
[[gnu::always_inline]] inline char* WriteText(char* out, std::string_view text) noexcept {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

// Copies a key. For most of them a call would cost more than the bytes.
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
