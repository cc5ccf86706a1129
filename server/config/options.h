// The options of the command line.
#pragma once

#include <span>

#include "server/config/option.h"

namespace larder::server {

// In the order of the help text. A new option is a row here, and a field of Config with its
// default.
std::span<const Option> Options();

}  // namespace larder::server
