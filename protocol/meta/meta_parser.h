// The meta commands: a line to Request.
#pragma once

#include <cstddef>
#include <string_view>

#include "protocol/request.h"

namespace larder::protocol {

// More words than this on a line, command and key included, are too many.
inline constexpr std::size_t kMetaWordsMax = 20;

// Parses `mg`, `ms`, `md`, `ma`, `me` or `explain`, whose line is complete. `at` is where in
// `input` the command word ends, `line_end` where its text ends, `next` where what follows begins.
//
// The request's `arguments` are the flags, in their order, all of them good; its `number` is
// their MetaFlagSet; T and F are in exptime and client_flags. me and explain look at b only.
//
// REQUIRES: at <= line_end < next <= input.size(), kInputSlackBytes behind input.end().
ParseResult ParseMeta(std::string_view input, std::size_t at, std::size_t line_end,
                      std::size_t next, Verb verb, Request& request) noexcept;

}  // namespace larder::protocol
