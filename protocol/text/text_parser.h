// The parser of the classic text protocol (and, on the same lines, of the meta protocol): turns
// bytes into requests.
#pragma once

#include <cstddef>
#include <string_view>

#include "protocol/parse_result.h"
#include "protocol/text/line_request.h"

namespace larder::protocol {

// The parsers may read (and ignore) this many bytes behind the end of their input, so that they can
// compare blocks of bytes without a check for the end.
inline constexpr std::size_t kInputSlackBytes = 64;

// The most bytes of a line other than a retrieval that may be waiting without its '\n'.
inline constexpr std::size_t kLineBytesMax = 2048;

// Takes the next unit of work from the front of `input`: a command with its value, or one key of
// get, gets, gat or gats. A retrieval line is never held as a whole, so it may have any length:
// `list` keeps its command from key to key, and must be passed unchanged to the next call. The line
// end is consumed together with the last key, so a key is returned only when what follows its
// spaces is known.
//
// Returns kComplete, kEncodedKey or kNeedValue with a `request`, which may be a refusal
// (request.error is not kNone); kNeedMore if no complete unit is in the input; kLineTooLong or
// kFatal if the connection must close. ParseStatus describes what each means for the caller.
//
// A bad key or exptime in a retrieval line is a refusal that ends the reply (is_last_key); the rest
// of the line is dropped by the next calls. So the client gets the values of the keys before it,
// and then one error line. (memcached sends an empty line behind the error, and loses those
// values.)
//
// The function allocates nothing and keeps no state. Its results do not depend on how the bytes
// were split, with one exception that memcached has too: more than kLineBytesMax bytes that wait
// for their '\n' are kLineTooLong, while an equally long line that arrived together with its '\n'
// is parsed. In a retrieval line, only a key whose following spaces have no end can wait that long.
// `request` is overwritten for kComplete, kEncodedKey and kNeedValue; for the other results it must
// not be used.
//
// Threads: any; the function uses only its arguments.
//
// REQUIRES: kInputSlackBytes behind input.end() are readable.
ParseResult ParseText(std::string_view input, KeyList& list, LineRequest& request) noexcept;

}  // namespace larder::protocol
