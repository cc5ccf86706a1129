// The results of start-up steps.
#pragma once

#include <string>
#include <utility>

#include "slab/result.h"

namespace larder::server {

// The exit code when the system refuses something.
inline constexpr int kExitSystem = 71;

// The reason why the program ends before it serves. Print `message` and a newline, to standard
// output if exit_code is 0 (as for --help and --version), else to standard error, and exit with
// exit_code.
//
// The exit codes are memcached's: 1 for a bad value, 64 for a combination or a feature that is
// refused, 67 for an unknown user, 71 when the system refuses something.
struct ConfigExit {
  // The text to print, without its last newline.
  std::string message;
  // The exit code of the process.
  int exit_code = 0;

  // Each returns a failure with the exit code for its kind of reason.
  static Failure<ConfigExit> BadValue(std::string message) { return {{std::move(message), 1}}; }
  static Failure<ConfigExit> Refused(std::string message) { return {{std::move(message), 64}}; }
  static Failure<ConfigExit> SystemError(std::string message) {
    return {{std::move(message), kExitSystem}};
  }
  static Failure<ConfigExit> Success(std::string message) { return {{std::move(message), 0}}; }
};

// The result of a start-up step that has no other result than success.
struct Done {};
using StepResult = Result<Done, ConfigExit>;

}  // namespace larder::server
