// PauseProcessor and YieldProcessor: what a thread does while it tries again and again.
//
// Threads: any thread.
#pragma once

#include <sched.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace larder {

// A hint to the processor that this is a waiting loop, so that the other thread of the core is not
// slowed. Called after a look that has found a place unchanged.
inline void PauseProcessor() noexcept {
#if defined(__SSE2__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Lets another thread have the processor.
inline void YieldProcessor() noexcept { sched_yield(); }

}  // namespace larder
