// The rows of `stats memory`.
#pragma once

#include <cstdint>
#include <span>

#include "server/metrics/counters.h"
#include "server/metrics/metric.h"
#include "slab/engine/memory_use.h"

namespace larder::server {

// The process's resident memory as /proc/self/statm has it; 0 if it cannot be read.
std::uint64_t ResidentSetBytes();

// All in bytes. The parts and the resident memory are read one after the other, so that the parts
// may come to more.
struct MemorySample {
  slab::MemoryUse use = {};
  BufferGauges::Values buffers{};
  std::uint64_t upload_bytes = 0;  // Reserved in the arena for unfinished values, page tails too.
  std::uint64_t resident_bytes = 0;

  std::uint64_t parts() const;
  // The greater of the resident memory and the parts.
  std::uint64_t whole() const;
  std::uint64_t other() const { return whole() - parts(); }
};

// The rows without a prefix but `rss` add up to `rss`; those of the arena to `arena`, its
// `arena_untouched` subtracted. `other` is what is left: the program, its libraries, what malloc
// has. Memory that was swapped out is nowhere but in the parts of the arena.
std::span<const Metric<MemorySample>> MemoryMetrics();

}  // namespace larder::server
