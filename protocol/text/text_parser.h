// The classic text protocol: bytes to Request.
#pragma once

#include <cstddef>
#include <string_view>

#include "protocol/parse_result.h"
#include "protocol/text/line_request.h"

namespace larder::protocol {

// The parser may load (and ignore) this many bytes behind the end of its input.
inline constexpr std::size_t kInputSlackBytes = 64;

// A line other than a retrieval may be this long without its '\n' having come.
inline constexpr std::size_t kLineBytesMax = 2048;

// Takes the next unit of work from the front of `input`: a command with its value, or one key of
// get, gets, gat or gats. A retrieval line is never held as a whole, so it may have any length:
// `list` carries its verb from key to key, and must be passed unchanged to the next call. Its last
// key takes the line end with it, so a key is held back until what follows its spaces is known.
//
// A bad key or exptime in such a line is a refusal that ends the reply (is_last_key); the
// rest of the line is dropped by the next calls. So it is one error line, after the values of the
// keys before: memcached sends an empty line behind it, and loses those values.
//
// Allocates nothing, keeps nothing, and answers alike however the bytes were split, with the one
// exception that memcached's clients know: more than kLineBytesMax bytes that wait for their '\n'
// are kLineTooLong, while a line as long that came with its '\n' is parsed. In a retrieval line,
// only a key whose following spaces have no end can wait that long. `request` is overwritten by
// kComplete and kNeedValue, and untouched otherwise.
//
// REQUIRES: kInputSlackBytes behind input.end() are readable.
ParseResult ParseText(std::string_view input, KeyList& list, LineRequest& request) noexcept;

}  // namespace larder::protocol
