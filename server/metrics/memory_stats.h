// The rows of `stats memory`.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>

#include "server/metrics/counters.h"
#include "slab/memory_use.h"

namespace larder::server {

// The process's memory, as /proc/self/statm tells; 0 if it does not.
std::uint64_t ResidentSetBytes();

using MemorySink = std::function<void(std::string_view name, std::int64_t bytes)>;

// All in bytes. The rows without a prefix but `rss` add up to `rss`; those of the arena to `arena`,
// its `arena_untouched` subtracted. `other` is what is left: the program, its libraries, what
// malloc has. Memory that was swapped out is nowhere but in the parts of the arena.
// As the parts and `rss_bytes` are read one after the other, `rss` is at least the sum of the
// parts. `upload_bytes`: what unfinished uploads have reserved of the arena, ends of pages
// included.
void AppendMemory(const slab::MemoryUse& use, const BufferGauges::Values& buffers,
                  std::uint64_t upload_bytes, std::uint64_t rss_bytes, const MemorySink& sink);

}  // namespace larder::server
