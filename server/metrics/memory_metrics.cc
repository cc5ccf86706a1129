#include "server/metrics/memory_metrics.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <numeric>

namespace larder::server {
namespace {

using slab::MemoryUse;
using enum MetricKind;

// Prints a number of bytes as a signed number: the parts are read one after the other while the
// cache is in use, so a difference of them that is close to 0 may come out negative.
std::string Bytes(std::uint64_t bytes) { return ValueText(static_cast<std::int64_t>(bytes)); }

// A sum that MemorySample computes.
template <std::uint64_t (MemorySample::*kMember)() const>
std::string Sum(const MemorySample& sample) {
  return Bytes((sample.*kMember)());
}
// A use of memory by the cache.
template <std::uint64_t MemoryUse::*kMember>
std::string Use(const MemorySample& sample) {
  return Bytes(sample.use.*kMember);
}
// The buffers of one kind, of all workers together.
template <Buffer kBuffer>
std::string Held(const MemorySample& sample) {
  return Bytes(sample.buffers[static_cast<std::size_t>(kBuffer)]);
}
std::string Arena(const MemorySample& sample) { return Bytes(sample.use.arena()); }
std::string Uploads(const MemorySample& sample) { return Bytes(sample.upload_bytes); }
std::string Staged(const MemorySample& sample) { return Bytes(sample.staged_bytes); }

// The families of the two levels: parts of the resident memory, and parts of the arena.
constexpr MetricFamily OfMemory(std::string_view use) {
  return {"larder_memory_bytes", {{{"use", use}}}};
}
constexpr MetricFamily OfArena(std::string_view use) {
  return {"larder_arena_bytes", {{{"use", use}}}};
}

constexpr auto kMemoryRows = std::to_array<Metric<MemorySample>>({
    // name, kind, getter, help, family
    {"rss",
     kGauge,
     Sum<&MemorySample::whole>,
     "Resident bytes of the process.",
     {"larder_memory_resident_bytes"}},
    // The parts of rss, which add up to it; see MemorySample::parts().
    {"arena", kGauge, Arena, "Bytes of the memory for items.", OfMemory("arena")},
    {"index", kGauge, Use<&MemoryUse::index>, "Bytes of the index.", OfMemory("index")},
    {"ghosts", kGauge, Use<&MemoryUse::ghosts>, "Bytes that remember evicted keys.",
     OfMemory("ghosts")},
    // The removal records.
    {"departures", kGauge, Use<&MemoryUse::removal_records>,
     "Bytes that remember why keys are gone.", OfMemory("departures")},
    {"drops", kGauge, Use<&MemoryUse::drops>, "Bytes that remember dropped prefixes.",
     OfMemory("drops")},
    {"page_table", kGauge, Use<&MemoryUse::page_table>, "Bytes of the table of pages.",
     OfMemory("page_table")},
    // The buffers of the workers, and what they hold for connections.
    {"input_buffers", kGauge, Held<Buffer::kInput>, "Bytes of the workers' input buffers.",
     OfMemory("input_buffers")},
    {"output_buffers", kGauge, Held<Buffer::kOutput>, "Bytes of the workers' output buffers.",
     OfMemory("output_buffers")},
    {"connections", kGauge, Held<Buffer::kConnections>, "Bytes of the connections themselves.",
     OfMemory("connections")},
    {"unfinished_input", kGauge, Held<Buffer::kTails>, "Bytes of input kept for the next turn.",
     OfMemory("unfinished_input")},
    {"pending_output", kGauge, Held<Buffer::kPending>,
     "Bytes of replies that sockets have not taken.", OfMemory("pending_output")},
    // Everything that is not measured, so that the rows add up to rss.
    {"other", kGauge, Sum<&MemorySample::other>, "Bytes of the program and all else.",
     OfMemory("other")},
    // Parts of the rows above.
    {"arena_items", kGauge, Use<&MemoryUse::items>, "Bytes of the items.", OfArena("items")},
    {"arena_slack", kGauge, Use<&MemoryUse::slack>, "Bytes that items leave of their chunks.",
     OfArena("slack")},
    {"arena_free_chunks", kGauge, Use<&MemoryUse::free_chunks>, "Bytes of free chunks.",
     OfArena("free_chunks")},
    {"arena_page_tails", kGauge, Use<&MemoryUse::page_tails>,
     "Bytes at the ends of pages, too few for a chunk.", OfArena("page_tails")},
    {"arena_free_pages", kGauge, Use<&MemoryUse::free_pages>, "Bytes of pages that no class has.",
     OfArena("free_pages")},
    {"arena_ahead", kGauge, Use<&MemoryUse::ahead>, "Bytes taken from the system in advance.",
     OfArena("ahead")},
    // Contained in the rows above, although the system has not provided this memory: to be
    // subtracted.
    {"arena_untouched", kGauge, Use<&MemoryUse::untouched>,
     "Bytes of pages that the system has not given yet, or has back.", OfArena("untouched")},
    // Not a further part: of the free chunks and pages, and of what the system has not given yet.
    {"arena_room",
     kGauge,
     Use<&MemoryUse::room>,
     "Bytes that items of any size can get before one that is alive goes.",
     {"larder_arena_room_bytes"}},
    // A part of "index".
    {"index_used",
     kGauge,
     Use<&MemoryUse::index_used>,
     "Bytes of the index that are in use.",
     {"larder_index_used_bytes"}},
    // Not a further part: this memory is contained in the rows of the arena.
    {"unfinished_uploads", kGauge, Uploads, "Bytes reserved for values that are being received."},
    // A part of "unfinished_input".
    {"staged_uploads", kGauge, Staged, "Bytes that count towards upload_staging."},
});
static_assert(HasWholeRows(kMemoryRows) && HasKindByFamily(kMemoryRows));

}  // namespace

std::uint64_t ResidentSetBytes() {
  std::ifstream file("/proc/self/statm");

  // The file has the sizes of the process in pages; the second one is the resident set.
  std::uint64_t size_pages = 0;
  std::uint64_t resident_pages = 0;
  file >> size_pages >> resident_pages;
  return resident_pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::uint64_t MemorySample::parts() const {
  // use.arena() is the memory for items; the rest of `use` is outside of it.
  const std::uint64_t outside =
      use.index + use.ghosts + use.removal_records + use.drops + use.page_table;
  return std::reduce(buffers.begin(), buffers.end(), use.arena() + outside);
}

// The parts are read before the resident memory, which may have shrunk meanwhile.
std::uint64_t MemorySample::whole() const { return std::max(resident_bytes, parts()); }

std::span<const Metric<MemorySample>> MemoryMetrics() { return kMemoryRows; }

}  // namespace larder::server
