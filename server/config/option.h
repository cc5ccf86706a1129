// Option, the description of one option of the command line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "server/config/config_exit.h"
#include "server/config/setting.h"

namespace larder::server {

// The section of the help text that has an option. The sections appear in this order.
enum class Section : std::uint8_t {
  kSockets,
  kMemory,
  kWork,
  kCluster,
  kProcess,
  kHelp,
  kUnsupported
};

// One option: its names, what it does, and the row of `stats settings` that shows it.
//
// Threads: immutable.
struct Option {
  // Where the help text has the option.
  Section section;
  // The short name; 0: none.
  char letter = 0;
  // The long name, without dashes; empty: none.
  std::string_view name = "";
  // What the help text calls the value; empty: the option takes no value.
  std::string_view value_name = "";
  // The description in the help text; {} is replaced by the default. Lines are separated by '\n'.
  std::string_view help;
  // Stores the value in a Config, or fails with the reason. `value` is empty for an option without
  // one.
  StepResult (*apply)(Config&, std::string_view value);

  // The row of `stats settings` that shows the option. Without a name: there is none.
  Setting setting = {};
  // Returns the default in the form in which the option is given, where the setting prints it in
  // another form; otherwise nullptr.
  std::string (*show)(const Config&) = nullptr;
  // Returns further lines of the description; nullptr: there are none.
  std::string (*more_help)() = nullptr;
};

}  // namespace larder::server
