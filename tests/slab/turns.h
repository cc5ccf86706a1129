// How long tests of random operations go on.
#pragma once

#include "tests/sanitizers.h"

namespace larder::slab {

// Thread sanitizer takes ten times as long, and finds nothing in tests of one thread.
constexpr int Turns(int turns) { return kHasThreadSanitizer ? turns / 12 : turns; }

}  // namespace larder::slab
