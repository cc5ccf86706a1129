// The command line, read and checked.
#pragma once

#include "server/config/config.h"
#include "server/config/config_exit.h"
#include "slab/result.h"

namespace larder::server {

// Reads memcached's short and long options, attached, separate or abbreviated as getopt_long takes
// them. An unknown option ends it first, then the first bad value from left to right, then what
// depends on several options. Never throws, prints nothing.
Result<Config, ConfigExit> ParseConfig(int argc, const char* const* argv);

}  // namespace larder::server
