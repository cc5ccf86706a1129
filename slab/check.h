// LARDER_CHECK stays on in release builds: for what would corrupt memory if the program went on.
// LARDER_ASSERT is for what a contract says of arguments, results and states. It is on in every
// build but the release one (CMake defines LARDER_ASSERTS), and does not evaluate its condition
// where it is off: a condition has no effects.
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
