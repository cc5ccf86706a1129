// In place of slab/sync/spin.h: a thread that spins is blocked until what it looks at changes.
#pragma once

#include "tests/model/steps.h"

namespace larder {

// Waits until another thread has written to what this thread looked at last.
inline void PauseProcessor() noexcept { model::WaitForLast(); }
// Waits until another thread has written anything.
inline void YieldProcessor() noexcept { model::WaitForAny(); }

}  // namespace larder
