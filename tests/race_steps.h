// What another client does in the middle of a command.
#pragma once

#include <functional>
#include <thread>
#include <utility>

#include "slab/sync/race_hook.h"

namespace larder::slab {

// RaceSteps runs `step` whenever a command comes to `point`, for as long as it lives. What the step
// itself does comes to no point.
//
// Threads: made and destroyed by one thread, while no command is being served.
class RaceSteps {
 public:
  RaceSteps(RacePoint point, std::function<void()> step)
      : hook_([point, step = std::move(step)](RacePoint reached) {
          if (reached != point || is_stepping_) return;
          is_stepping_ = true;
          step();
          is_stepping_ = false;
        }) {
    RaceHook::Set(&hook_);
  }
  ~RaceSteps() { RaceHook::Set(nullptr); }
  RaceSteps(const RaceSteps&) = delete;
  RaceSteps& operator=(const RaceSteps&) = delete;

 private:
  inline static thread_local bool is_stepping_ = false;
  const RaceHook::Hook hook_;
};

}  // namespace larder::slab
