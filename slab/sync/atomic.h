// Atomic: the atomics by which threads agree on who may use an item, a chunk or a page.
#pragma once

#include <atomic>

namespace larder::slab {

// Atomic is std::atomic. It has a name of its own because tests/model/ puts another class in its
// place, whose accesses are the steps of an exploration of all orders. Atomics that no protocol
// depends on, such as counters, are std::atomic.
//
// Threads:    atomic.
template <class T>
using Atomic = std::atomic<T>;

}  // namespace larder::slab
