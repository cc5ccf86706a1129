// Processes: a choice is made by a copy of the process for each option.
#pragma once

#include <functional>
#include <string>

#include "tests/model/shared.h"

namespace larder::model {

// Runs a function in a copy of this process, and waits until that copy and all copies that it has
// made are gone. If a copy dies of a signal, the exploration has failed.
void RunInCopy(Shared& shared, const std::function<void()>& run);

// Returns once for each number below `count`, each time in another copy of the process: 0 in the
// caller itself, after all others are gone. Does not return if the exploration has ended meanwhile.
// REQUIRES: the caller is in a RunInCopy, and count is at least 1.
unsigned Choose(Shared& shared, unsigned count);

// Ends this copy of the process.
[[noreturn]] void Leave();
// Notes a failure, unless one is noted already, and ends this copy.
[[noreturn]] void LeaveFailed(Shared& shared, const std::string& report);

}  // namespace larder::model
