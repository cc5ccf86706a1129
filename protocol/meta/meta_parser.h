// The parser of the meta commands: what follows the command word on a line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/line_error.h"
#include "protocol/meta/meta_flags.h"
#include "protocol/meta/meta_verbs.h"

namespace larder::protocol {

// The largest number of words on a line, the command and the key included.
inline constexpr std::size_t kMetaWordsMax = 20;

// The fields of a line of the meta protocol. Its views point into the line.
//
// Threads: one worker.
struct MetaLine {
  // The key as sent: in base64 if `flags` has b.
  std::string_view key = {};
  // The flags in the order of the line, all of them valid.
  std::string_view arguments = {};
  // The flags of the line as a set; for commands that use only the key, at most b.
  MetaFlagSet flags = {};
  // The token of F: 32 bits that the server stores for the client without using them.
  std::uint32_t client_flags = 0;
  // The token of T as sent: 0 never, up to 30 days relative in seconds, more is Unix time.
  std::int32_t exptime = 0;
  // The length of the data block that follows the line, without its CRLF.
  std::uint32_t value_bytes = 0;
  // If the line is refused but has a data block: the length of that block with its CRLF, which the
  // connection must discard.
  std::uint32_t swallow_bytes = 0;
  // If it is not kNone, only this and swallow_bytes have a meaning.
  LineError error = LineError::kNone;
};

// Parses a line of the command that `spec` describes; `text` is what follows the command word,
// without the line end. It never waits for more bytes: a refusal is returned in `error`. The
// function allocates nothing and keeps no state.
//
// REQUIRES: kInputSlackBytes behind text.end() are readable.
MetaLine ParseMeta(std::string_view text, const MetaVerbSpec& spec) noexcept;

}  // namespace larder::protocol
