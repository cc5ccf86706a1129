#include "server/metrics/memory_stats.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>

namespace larder::server {

std::uint64_t ResidentSetBytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t size_pages = 0;
  std::uint64_t resident_pages = 0;
  file >> size_pages >> resident_pages;
  return resident_pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

void AppendMemory(const slab::MemoryUse& use, const BufferGauges::Values& buffers,
                  std::uint64_t upload_bytes, std::uint64_t rss_bytes, const MemorySink& sink) {
  struct Row {
    std::string_view name;
    std::uint64_t bytes;
  };
  const auto of = [&](Buffer buffer) { return buffers[static_cast<std::size_t>(buffer)]; };
  const std::array parts = {
      Row{"arena", use.arena()},
      Row{"index", use.index},
      Row{"ghosts", use.ghosts},
      Row{"departures", use.departures},
      Row{"page_table", use.page_table},
      Row{"input_buffers", of(Buffer::kInput)},
      Row{"output_buffers", of(Buffer::kOutput)},
      Row{"connections", of(Buffer::kConnections)},
      Row{"unfinished_input", of(Buffer::kTails)},
      Row{"pending_output", of(Buffer::kPending)},
  };
  const std::array details = {
      Row{"arena_items", use.items},
      Row{"arena_slack", use.slack},
      Row{"arena_free_chunks", use.free_chunks},
      Row{"arena_page_tails", use.page_tails},
      Row{"arena_free_pages", use.free_pages},
      Row{"arena_ahead", use.ahead},
      Row{"arena_untouched", use.untouched},
      Row{"index_used", use.index_used},
      Row{"unfinished_uploads", upload_bytes},
  };
  const auto append = [&](std::string_view name, std::uint64_t bytes) {
    sink(name, static_cast<std::int64_t>(bytes));
  };
  std::uint64_t known = 0;
  for (const Row& part : parts) known += part.bytes;
  // Parts and whole are not of the same moment.
  const std::uint64_t whole = std::max(rss_bytes, known);
  append("rss", whole);
  for (const Row& part : parts) append(part.name, part.bytes);
  append("other", whole - known);
  for (const Row& detail : details) append(detail.name, detail.bytes);
}

}  // namespace larder::server
