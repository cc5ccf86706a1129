// In place of slab/check.h: what is broken is told to the checker.
#pragma once

#include "tests/model/steps.h"

#define LARDER_CHECK(condition)                                \
  do {                                                         \
    if (!(condition)) [[unlikely]]                             \
      ::larder::model::Broken(__FILE__, __LINE__, #condition); \
  } while (false)

// An assertion may read atomics that the sources do not read where it is off: those are no steps.
#define LARDER_ASSERT(condition)                                                \
  do {                                                                          \
    ::larder::model::BeginSilence();                                            \
    const bool larder_holds = static_cast<bool>(condition);                     \
    ::larder::model::EndSilence();                                              \
    if (!larder_holds) ::larder::model::Broken(__FILE__, __LINE__, #condition); \
  } while (false)
