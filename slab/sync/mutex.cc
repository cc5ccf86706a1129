#include "slab/sync/mutex.h"

namespace larder {
namespace {

// How long LockSlowly tries before it sleeps: together some ten microseconds.
constexpr int kTries = 64;
constexpr int kPausesPerTry = 4;

// A hint to the processor that this is a waiting loop, so that the other thread of the core is not
// slowed.
void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

void Mutex::LockSlowly() {
  for (int tries = 0; tries < kTries; ++tries) {
    for (int pauses = 0; pauses < kPausesPerTry; ++pauses) Pause();
    if (mutex_.try_lock()) return;
  }
  // The holder needs longer, or does not run: sleep.
  mutex_.lock();
}

}  // namespace larder
