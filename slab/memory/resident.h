// How much of a mapping the kernel has backed with memory.
#pragma once

#include <cstdint>

namespace larder::slab {

// Pages that were only read before they were written to count too, without taking memory. Quick
// where huge pages are, and where nothing is: about 1 ms for 64 GiB; else 1 ms for a GiB.
//
// REQUIRES: `base` is a multiple of 4096, and all of the range is mapped.
std::uint64_t ResidentBytes(const void* base, std::uint64_t bytes) noexcept;

// Of what is mapped there, what this process has in its page tables. Of a file that is less than
// what is resident: pages that the process did not touch, as after a restart, are the system's. 0
// if the system does not say. Takes a few milliseconds for a GiB.
//
// REQUIRES: no mapping lies across the ends of the range.
std::uint64_t MappedBytes(const void* base, std::uint64_t bytes);

}  // namespace larder::slab
