// The text that --help prints.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "server/config/option.h"

namespace larder::server {

// Returns the help text: the options in the order of `options`, with a heading wherever the section
// changes. The last line has no newline.
std::string HelpText(std::span<const Option> options);

// Returns `text` with its {} replaced by a default: the one that `show` returns for a
// value-initialised Config, or, if `show` is nullptr, the one that `setting` prints. A text without
// {} is returned unchanged.
//
// REQUIRES: if `text` has {}, `show` or the getter of `setting` is not nullptr.
std::string WithDefault(std::string_view text, std::string (*show)(const Config&),
                        const Setting& setting);

}  // namespace larder::server
