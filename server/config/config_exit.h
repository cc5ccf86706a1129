// How a start-up step ends.
#pragma once

#include <string>
#include <utility>

#include "slab/result.h"

namespace larder::server {

// Why the program ends before it serves: print `message` and a newline (to standard output if
// exit_code is 0, as after --help and --version, else to standard error), and leave with exit_code,
// which is memcached's: 1 for a bad value, 64 for a combination or feature refused, 67 for an
// unknown user, 71 for the system's refusals.
struct ConfigExit {
  std::string message;
  int exit_code = 0;

  static Failure<ConfigExit> BadValue(std::string message) { return {{std::move(message), 1}}; }
  static Failure<ConfigExit> Refused(std::string message) { return {{std::move(message), 64}}; }
  static Failure<ConfigExit> SystemError(std::string message) { return {{std::move(message), 71}}; }
  static Failure<ConfigExit> Success(std::string message) { return {{std::move(message), 0}}; }
};

// The answer of a start-up step that yields nothing but success.
struct Done {};
using StepResult = Result<Done, ConfigExit>;

}  // namespace larder::server
