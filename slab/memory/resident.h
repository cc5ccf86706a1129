// How much of a memory range the kernel has backed with memory.
#pragma once

#include <cstdint>

namespace larder::slab {

// Bytes of the range that are in memory. Pages that were read before they were ever written to
// count too, although they take no memory. Quick where huge pages are, and where nothing is: about
// 1 ms for 64 GiB; else 1 ms per GiB. REQUIRES: `base` is a multiple of 4096, and all of the range
// is mapped.
//
// Threads:    any thread.
std::uint64_t ResidentBytes(const void* base, std::uint64_t bytes) noexcept;

// Bytes of the range that are in the page tables of this process. For a mapped file that is less
// than what is in memory: pages that this process has not touched, as after a restart, belong to
// the system. Returns 0 if the system does not report it. Takes a few milliseconds per GiB.
// REQUIRES: no mapping lies across the ends of the range.
//
// Threads:    any thread.
std::uint64_t MappedBytes(const void* base, std::uint64_t bytes);

}  // namespace larder::slab
