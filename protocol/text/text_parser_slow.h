// The general text parser: it implements every rule of the protocol, line by line and word by word.
// ParseText() calls it for everything that its fast path does not recognise. Tests compare the two.
#pragma once

#include <cstddef>
#include <string_view>

#include "protocol/meta/meta_verbs.h"
#include "protocol/parse_result.h"
#include "protocol/text/line_request.h"

namespace larder::protocol {

// Has the contract and the results of ParseText().
ParseResult ParseTextSlow(std::string_view input, KeyList& list, LineRequest& request) noexcept;
// A variant of ParseTextSlow() that looks for command words in `verbs` instead of kTextVerbs.
//
// REQUIRES: `verbs` are sorted by name.
ParseResult ParseTextSlow(std::string_view input, KeyList& list, LineRequest& request,
                          TextVerbs verbs) noexcept;

// Parses a complete line of the command of the meta protocol that `spec` describes. `text` is what
// follows the command word, without the line end; `next` is the position in the input of the byte
// behind the line.
//
// Returns kComplete (perhaps with a refusal), kEncodedKey, or kNeedValue if the data block of an ms
// is not complete.
//
// REQUIRES: kInputSlackBytes behind input.end() are readable.
ParseResult TakeMetaLine(std::string_view input, std::string_view text, std::size_t next,
                         const MetaVerbSpec& spec, LineRequest& request) noexcept;

}  // namespace larder::protocol
