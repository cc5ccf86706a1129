// The option --prefix-share.
#pragma once

#include <string_view>

#include "server/config/config.h"
#include "server/config/config_exit.h"

namespace larder::server {

// Reads one share and adds it to config.prefix_shares:
//
//   name=10%..30%    a floor and a ceiling, in percent of -m
//   name=10%         a floor
//   name=..30%       a ceiling
//
// Fails if the text is none of these, if a percentage is not a whole number from 1 to 100, the
// floor is above the ceiling, or the name is too long or has a share already.
StepResult AddPrefixShare(Config& config, std::string_view value);

// Checks all shares together, when all options are known: the floors fit into the memory, names
// contain no delimiter, and what shares need is switched on.
StepResult CheckPrefixShares(const Config& config);

}  // namespace larder::server
