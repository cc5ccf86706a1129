// What every parser answers with, and limits that all protocols share.
#pragma once

#include <cstddef>
#include <cstdint>

namespace larder::protocol {

inline constexpr std::size_t kKeyBytesMax = 250;

// The first byte of every packet of the binary protocol; no line of text begins so.
inline constexpr unsigned char kRequestMagic = 0x80;

// The longest value of `config set`: it is waited for, while others are received into an item.
inline constexpr std::uint32_t kConfigValueBytesMax = 32 * 1024;

enum class ParseStatus : std::uint8_t {
  kComplete,    // `request` is valid; serve it, then drop consumed_bytes.
  kEncodedKey,  // Likewise, once its key, which is base64, was decoded (see base64.h).
  kNeedMore,    // No complete unit: call again with more. consumed_bytes (skipped text) may be > 0.
  kNeedValue,   // `request` is valid but for its value (and its key, if that is_key_encoded): after
                // consumed_bytes (the line) come value_bytes + 2 bytes, not all of them in the
                // input yet, or not ended by CRLF. Binary: value_bytes.
  kLineTooLong,  // Waits for the end of a line for too long: as kFatal, but the client is told.
  kFatal,        // The connection must close, after the replies to earlier requests.
};

struct [[nodiscard]] ParseResult {
  ParseStatus status = ParseStatus::kNeedMore;
  std::size_t consumed_bytes = 0;
};

}  // namespace larder::protocol
