// The suboptions of `-o`.
#pragma once

#include <string_view>

#include "server/config/config.h"

namespace larder::server {

// Reads a list such as "idle_timeout=60,modern" into `config`. The first bad item ends it.
StepResult ApplyExtendedOptions(std::string_view list, Config& config);

// Judges suboptions that depend on each other. REQUIRES: all options were read.
StepResult CheckExtendedOptions(const Config& config);

}  // namespace larder::server
