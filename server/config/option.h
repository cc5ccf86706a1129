// An option of the command line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "server/config/config_exit.h"
#include "server/config/setting.h"

namespace larder::server {

// Where the help text has an option.
enum class Section : std::uint8_t {
  kSockets,
  kMemory,
  kWork,
  kCluster,
  kProcess,
  kHelp,
  kUnsupported
};

// One option: how it is given, what it does, and the row of `stats settings` that shows it.
//
// Threads: immutable.
struct Option {
  Section section;
  char letter = 0;                   // 0: none.
  std::string_view name = "";        // The long one; empty: none.
  std::string_view value_name = "";  // Empty: takes no value.
  std::string_view help;             // In it, {} stands for the default.
  StepResult (*apply)(Config&, std::string_view value);

  Setting setting = {};  // No name: `stats settings` does not show the option.
  // The default as the option would be given it, where the setting spells it otherwise.
  std::string (*show)(const Config&) = nullptr;
  std::string (*more_help)() = nullptr;  // Further lines of help.
};

}  // namespace larder::server
