// The table of the options of the command line.
#pragma once

#include <span>

#include "server/config/option.h"

namespace larder::server {

// Returns all options in the order of the help text. A new option is a row of this table, and a
// field of Config that has its default.
//
// Threads: any; the table is a constant.
std::span<const Option> Options();

}  // namespace larder::server
