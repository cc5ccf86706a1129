// Reads the list of options that `-o` takes.
#pragma once

#include <string>
#include <string_view>

#include "server/config/config.h"
#include "server/config/config_exit.h"

namespace larder::server {

// Applies a list of `name` and `name=value` items, separated by commas, to `config`. The names are
// in server/config/extended_options.h. Fails at the first unknown name or bad value; the items
// before it have been applied then.
StepResult ReadExtended(Config& config, std::string_view list);

// Checks what depends on several options of `-o`. Call it when all options are applied.
StepResult CheckExtendedOptions(const Config& config);

// Returns the help text of `-o`, without its first line and without a newline at the end.
std::string ExtendedHelp();

}  // namespace larder::server
