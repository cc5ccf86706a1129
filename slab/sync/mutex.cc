#include "slab/sync/mutex.h"

#include "slab/sync/spin.h"

namespace larder {
namespace {

// How long LockSlowly tries before it sleeps: together some ten microseconds.
constexpr int kTries = 64;
constexpr int kPausesPerTry = 4;

}  // namespace

void Mutex::LockSlowly() {
  for (int tries = 0; tries < kTries; ++tries) {
    for (int pauses = 0; pauses < kPausesPerTry; ++pauses) PauseProcessor();
    if (mutex_.try_lock()) return;
  }
  // The holder needs longer, or does not run: sleep.
  mutex_.lock();
}

}  // namespace larder
