// The list of further options that `-o` takes.
#pragma once

#include <string>
#include <string_view>

#include "server/config/config.h"
#include "server/config/config_exit.h"

namespace larder::server {

// Applies `name` and `name=value` items separated by commas, see server/config/extended_options.h.
StepResult ReadExtended(Config& config, std::string_view list);

// What depends on several of them. Call it when all are applied.
StepResult CheckExtendedOptions(const Config& config);

// The help text of `-o`, from its second line on; the last line is not ended.
std::string ExtendedHelp();

}  // namespace larder::server
