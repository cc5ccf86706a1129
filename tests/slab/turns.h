// How long tests of random operations go on.
#pragma once

namespace larder::slab {

// Thread sanitizer takes ten times as long, and finds nothing in tests of one thread.
constexpr int Turns(int turns) {
#if defined(__SANITIZE_THREAD__)
  return turns / 12;
#else
  return turns;
#endif
}

}  // namespace larder::slab
