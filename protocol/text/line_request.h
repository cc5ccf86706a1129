// LineRequest, the result of the parsers of the text and the meta protocol.
#pragma once

#include <cstdint>
#include <string_view>

#include "protocol/line_error.h"
#include "protocol/meta/meta_flags.h"
#include "protocol/meta/meta_verbs.h"
#include "protocol/text/text_verbs.h"

namespace larder::protocol {

// One unit of work of the text or the meta protocol, which share their lines: a command, or one key
// of a retrieval command. All views point into the parser's input and are valid until those bytes
// are dropped. Fields that a command does not use have their default values.
//
// The parsers of common lines construct it in place (placement new): an assigned one would be
// constructed elsewhere and copied, which costs every set 12 instructions.
//
// Threads: one worker.
struct LineRequest {
  // At most kKeyBytesMax bytes; empty for commands without a key.
  std::string_view key = {};
  // Storage commands: the whole data block without its CRLF, if it was in the input.
  std::string_view value = {};
  // Administrative commands: what follows the command word on its line. kMeta: the flags in their
  // order, all of them valid.
  std::string_view arguments = {};
  // cas: the CAS that the item must have.
  std::uint64_t cas_unique = 0;
  // incr and decr: the number to add or subtract.
  std::uint64_t delta = 0;
  // kMeta: the flags of the line as a set. The values of T and F are in exptime and client_flags.
  MetaFlagSet flags = {};
  // Storage commands: 32 bits that the server stores for the client without using them.
  std::uint32_t client_flags = 0;
  // The expiry as sent: 0 never, 1 to 30 days in seconds relative to now, more is Unix time;
  // negative is in the past.
  std::int32_t exptime = 0;
  // Storage commands: the length of the data block without its CRLF.
  std::uint32_t value_bytes = 0;
  // Bytes after consumed_bytes that the connection must read and discard.
  std::uint32_t swallow_bytes = 0;
  // verbosity: the level. cache_memlimit: megabytes.
  std::uint32_t setting = 0;
  // The command; kNone if `error` is set, kMeta for every command of the meta protocol.
  TextVerb verb = TextVerb::kNone;
  // kMeta: the command of the meta protocol.
  MetaVerb meta_verb = MetaVerb::kGet;
  // The reason of a refusal. If it is not kNone, only this, noreply, is_last_key and swallow_bytes
  // have a meaning.
  LineError error = LineError::kNone;
  // The client does not want a reply, not even an error line.
  bool noreply = false;
  // Retrieval commands: the reply to this line ends with this key. Always true for other commands.
  bool is_last_key = true;
  // The key is in base64 and must be decoded before use.
  bool is_key_encoded = false;

  // Makes it the request of a command with one key, on a line that is good. It sets what all of
  // these have: key, verb, swallow_bytes, and everything from `error` on. The caller sets what its
  // command has; the rest keeps what an earlier request left there, and has no meaning. The most
  // frequent commands begin so, because clearing all members takes up to 20 instructions.
  void BeginKeyed(TextVerb command, std::string_view its_key) noexcept {
    key = its_key;
    swallow_bytes = 0;
    verb = command;
    error = LineError::kNone;
    noreply = false;
    is_last_key = true;
    is_key_encoded = false;
  }
};

// The position of a parser between two keys of one retrieval line. It is small and may be copied
// freely. A value-initialised KeyList stands at the start of a line. The parsers change it; the
// connection keeps it from call to call.
//
// Threads: one worker.
struct KeyList {
  // The command of the line; has a meaning only while is_open.
  TextVerb verb = TextVerb::kGet;
  // The next byte of the input belongs to the key list of `verb`.
  bool is_open = false;
  // The rest of the line, up to and including '\n', is dropped without a reply.
  bool is_skipping = false;
  // The exptime of gat and gats, which applies to every key.
  std::int32_t exptime = 0;
};

}  // namespace larder::protocol
