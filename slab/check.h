// LARDER_CHECK and LARDER_ASSERT: conditions that must hold, otherwise the program aborts with a
// message that names the place.
//
// LARDER_CHECK is on in release builds too. It is for conditions without which memory would be
// corrupted if the program went on.
// LARDER_ASSERT is for what a contract says of arguments, results and states. It is on in every
// build but the release one (CMake defines LARDER_ASSERTS). Where it is off the condition is not
// evaluated, so a condition must have no effects.
#pragma once

#include <cstdio>
#include <cstdlib>

#define LARDER_CHECK(condition)                                                            \
  do {                                                                                     \
    if (!(condition)) [[unlikely]] {                                                       \
      std::fprintf(stderr, "larder: %s:%d: broken: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                        \
    }                                                                                      \
  } while (false)

#if defined(LARDER_ASSERTS)
#define LARDER_ASSERT(condition) LARDER_CHECK(condition)
#else
#define LARDER_ASSERT(condition) static_cast<void>(sizeof((condition) ? 1 : 0))
#endif
