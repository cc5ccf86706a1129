#include "slab/sync/mutex.h"

namespace larder {
namespace {

// Together some ten microseconds.
constexpr int kTries = 64;
constexpr int kPausesPerTry = 4;

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
  mutex_.lock();
}

}  // namespace larder
