// Reads and checks the command line.
#pragma once

#include "server/config/config.h"
#include "server/config/config_exit.h"
#include "slab/result.h"

namespace larder::server {

// Parses memcached's short and long options as getopt_long does: values attached or separate, long
// names abbreviated. argv[0] is the name of the program.
//
// Fails with the first error in this order: an unknown option or a missing value; the first bad
// value from left to right; a bad combination of options. --help, --version and --license also
// "fail", with an exit code of 0 and their text.
//
// Never throws and prints nothing. It reads files only for a share such as -m 75%.
Result<Config, ConfigExit> ParseConfig(int argc, const char* const* argv);

}  // namespace larder::server
