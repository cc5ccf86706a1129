// The sample and the rows of `stats memory`.
#pragma once

#include <cstdint>
#include <span>

#include "server/metrics/counters.h"
#include "server/metrics/metric.h"
#include "slab/engine/memory_use.h"

namespace larder::server {

// Returns the resident memory of the process in bytes, from /proc/self/statm; 0 if it cannot be
// read.
std::uint64_t ResidentSetBytes();

// The uses of memory, all in bytes. The parts and the resident memory are read one after the other,
// so the parts may add up to more than the resident memory.
//
// Threads: one worker; it is taken for one report.
struct MemorySample {
  // What the cache uses, in the arena for items and outside of it.
  slab::MemoryUse use = {};
  // What all workers hold for their connections.
  BufferGauges::Values buffers{};
  // Reserved in the arena for unfinished values, with the unused ends of their pages.
  std::uint64_t upload_bytes = 0;
  std::uint64_t staged_bytes = 0;
  // See ResidentSetBytes().
  std::uint64_t resident_bytes = 0;

  // The sum of all uses that are measured.
  std::uint64_t parts() const;
  // The greater of the resident memory and the sum of the parts, so that other() is not negative.
  std::uint64_t whole() const;
  // What is not measured: the program, its libraries and the memory that malloc holds.
  std::uint64_t other() const { return whole() - parts(); }
};

// Returns the rows. Those whose name has no prefix, without `rss`, add up to `rss`. Those that
// begin with `arena_` add up to `arena`, if arena_untouched is subtracted. Memory that was swapped
// out is counted only in the parts of the arena.
//
// Threads: any; the table is a constant.
std::span<const Metric<MemorySample>> MemoryMetrics();

}  // namespace larder::server
