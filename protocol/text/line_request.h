// What the parser of text lines produces.
#pragma once

#include <cstdint>
#include <string_view>

#include "protocol/line_error.h"
#include "protocol/meta/meta_flags.h"
#include "protocol/meta/meta_verbs.h"
#include "protocol/text/text_verbs.h"

namespace larder::protocol {

// One unit of work of the text and the meta protocol, which come by the same lines: a command, or
// one key of a retrieval command. All views point into the parser's input and live until those
// bytes are dropped. The parsers of common lines make it in its place: an assigned one would be
// made elsewhere and copied, which costs every set 12 instructions.
struct LineRequest {
  std::string_view key = {};    // Empty for verbs without a key.
  std::string_view value = {};  // Storage: the whole data block without its CRLF, if it was there.
  // Admin verbs: what follows the command word on its line. kMeta: the flags, all of them good.
  std::string_view arguments = {};
  std::uint64_t cas_unique = 0;     // cas.
  std::uint64_t delta = 0;          // incr, decr.
  MetaFlagSet flags = {};           // kMeta: those that are there; T and F are in the next two.
  std::uint32_t client_flags = 0;   // Storage.
  std::int32_t exptime = 0;         // As sent: 0 never, 1..30 days relative, more is Unix time.
  std::uint32_t value_bytes = 0;    // Storage: length of the data block without its CRLF.
  std::uint32_t swallow_bytes = 0;  // Bytes after consumed_bytes to read and throw away.
  std::uint32_t setting = 0;        // verbosity: the level. cache_memlimit: megabytes.
  TextVerb verb = TextVerb::kNone;
  MetaVerb meta_verb = MetaVerb::kGet;  // kMeta.
  LineError error = LineError::kNone;   // kNone.
  bool noreply = false;
  bool is_last_key = true;      // Retrieval: the reply to this line ends with this key.
  bool is_key_encoded = false;  // The key is in base64.
};

// Where a parser stands between two keys of one retrieval line; small, copied freely. Value
// initialised, it stands at the start of a line.
struct KeyList {
  TextVerb verb = TextVerb::kGet;  // Meaningful while is_open.
  bool is_open = false;            // The next byte belongs to the key list of `verb`.
  bool is_skipping = false;        // The rest of the line up to '\n' is dropped, silently.
  std::int32_t exptime = 0;        // gat and gats.
};

}  // namespace larder::protocol
