// The classic text protocol: bytes to Request.
#pragma once

#include <cstddef>
#include <string_view>

#include "protocol/request.h"

namespace larder::protocol {

// The parser may load (and ignore) this many bytes behind the end of its input.
inline constexpr std::size_t kInputSlackBytes = 64;

// A line other than a retrieval may be this long without its '\n' having come.
inline constexpr std::size_t kLineBytesMax = 2048;

// Takes the next unit of work from the front of `input`: a command with its value, or one key of
// get, gets, gat or gats. A retrieval line is never held as a whole, so it may have any length:
// `list` carries its verb from key to key, and must be passed unchanged to the next call.
//
// Allocates nothing, keeps nothing, and answers alike however the bytes were split, with two
// exceptions that memcached's clients know: a line of more than kLineBytesMax bytes that is no
// retrieval is fatal unless its '\n' is in the input.
//
// REQUIRES: kInputSlackBytes behind input.end() are readable.
ParseResult ParseText(std::string_view input, KeyList& list, Request& request) noexcept;

}  // namespace larder::protocol
