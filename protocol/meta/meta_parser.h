// The meta commands: what follows the command word on a line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/line_error.h"
#include "protocol/meta/meta_flags.h"
#include "protocol/meta/meta_verbs.h"

namespace larder::protocol {

// More words than this on a line, command and key included, are too many.
inline constexpr std::size_t kMetaWordsMax = 20;

// A line of the meta protocol; its views point into the line.
struct MetaLine {
  std::string_view key = {};
  std::string_view arguments = {};  // The flags, in their order, all of them good.
  MetaFlagSet flags = {};           // Those that are there, as far as the command looks at them.
  std::uint32_t client_flags = 0;   // F.
  std::int32_t exptime = 0;         // T.
  std::uint32_t value_bytes = 0;    // Of the data block that follows, without its CRLF.
  std::uint32_t swallow_bytes = 0;  // The block with its CRLF, if the line is refused but has one.
  LineError error = LineError::kNone;  // If not kNone, it alone and swallow_bytes count.
};

// Parses a line, whose command word has this row; `text` is what follows the word.
//
// REQUIRES: kInputSlackBytes behind text.end() are readable.
MetaLine ParseMeta(std::string_view text, const MetaVerbSpec& spec) noexcept;

}  // namespace larder::protocol
