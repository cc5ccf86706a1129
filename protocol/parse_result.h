// The result of every parser, and the limits that all protocols share.
#pragma once

#include <cstddef>
#include <cstdint>

namespace larder::protocol {

// The longest key in bytes. It applies to the decoded key and to a key in base64 as sent.
inline constexpr std::size_t kKeyBytesMax = 250;

// The first byte of every request packet of the binary protocol. No line of text begins with it, so
// the first byte of a connection identifies the protocol.
inline constexpr unsigned char kRequestMagic = 0x80;
static_assert(kRequestMagic > 0x7f);

// The longest value of `config set`, in bytes. The parser waits until it is complete, while the
// values of other commands are received directly into an item.
inline constexpr std::uint32_t kConfigValueBytesMax = 32 * 1024;

// What a parser found at the front of its input.
enum class ParseStatus : std::uint8_t {
  // `request` is valid: execute it, then drop consumed_bytes.
  kComplete,
  // `request` is valid and complete, but its key is in base64 and must be decoded before the
  // request is executed (see protocol/encoding/base64.h).
  kEncodedKey,
  // The input has no complete request: call again with more bytes. consumed_bytes may be greater
  // than 0, for text that was skipped, and must be dropped.
  kNeedMore,
  // `request` is valid except for its value (and for its key, which is not decoded if
  // is_key_encoded). Behind consumed_bytes the value follows: value_bytes + 2 bytes in the text and
  // the meta protocol, value_bytes in the binary one. Either not all of them are in the input yet,
  // or the last two are not CRLF.
  kNeedValue,
  // A line has no end within the limit. The connection must close after an error line.
  kLineTooLong,
  // The connection must close, after the replies to earlier requests, without an error line.
  kFatal,
};

// The result of one call of a parser.
struct [[nodiscard]] ParseResult {
  // What was found.
  ParseStatus status = ParseStatus::kNeedMore;
  // The bytes at the front of the input that this request used.
  std::size_t consumed_bytes = 0;
};

}  // namespace larder::protocol
