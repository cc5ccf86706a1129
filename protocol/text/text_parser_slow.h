// The general text parser: every rule, one line at a time, by tokens. ParseText() turns to it for
// whatever its fast path does not recognise; the tests hold the two against each other.
#pragma once

#include <cstddef>
#include <string_view>

#include "protocol/meta/meta_verbs.h"
#include "protocol/parse_result.h"
#include "protocol/text/line_request.h"

namespace larder::protocol {

// As ParseText(), with the same contract and the same answers.
ParseResult ParseTextSlow(std::string_view input, KeyList& list, LineRequest& request) noexcept;
// Likewise, with other command words than those of the text protocol.
ParseResult ParseTextSlow(std::string_view input, KeyList& list, LineRequest& request,
                          TextVerbs verbs) noexcept;

// Takes a line of the meta protocol: `text` is what follows its command word, `next` where in the
// input the line after it begins.
ParseResult TakeMetaLine(std::string_view input, std::string_view text, std::size_t next,
                         const MetaVerbSpec& spec, LineRequest& request) noexcept;

}  // namespace larder::protocol
