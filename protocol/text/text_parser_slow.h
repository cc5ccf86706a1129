// The general text parser: every rule, one line at a time, by tokens. ParseText() turns to it for
// whatever its fast path does not recognise; the tests hold the two against each other.
#pragma once

#include <string_view>

#include "protocol/request.h"

namespace larder::protocol {

// As ParseText(), with the same contract and the same answers.
ParseResult ParseTextSlow(std::string_view input, KeyList& list, Request& request) noexcept;

}  // namespace larder::protocol
