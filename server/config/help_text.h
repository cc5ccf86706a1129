// What --help prints.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "server/config/option.h"

namespace larder::server {

// The options in the order in which they stand; the last line is not ended.
std::string HelpText(std::span<const Option> options);

// `text`, with what `show` and `setting` have for a value-initialised Config instead of {}.
std::string WithDefault(std::string_view text, std::string (*show)(const Config&),
                        const Setting& setting);

}  // namespace larder::server
