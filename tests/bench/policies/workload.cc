#include "tests/bench/policies/workload.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "tests/bench/policies/larder_cache.h"
#include "tests/bench/policies/made_workloads.h"
#include "tests/bench/trace_reader.h"

namespace larder::bench {
namespace {

constexpr WorkloadSpec kWorkloads[] = {
    {.name = "web12", .memory_mib = {1, 2, 4, 8}},
    {.name = "orm-busy", .memory_mib = {4, 16}},
    {.name = "adapt_size", .has_sizes = true, .memory_mib = {32, 64, 128}},
    {.name = "zipf-0.8", .memory_mib = {4, 16}, .make = MakeZipfShifts80},
    {.name = "zipf-0.99", .memory_mib = {4, 16}, .make = MakeZipfShifts99},
    {.name = "scans", .memory_mib = {4, 16}, .make = MakeScans},
    {.name = "loops", .memory_mib = {4, 16}, .make = MakeLoops},
    {.name = "one-hits", .memory_mib = {4, 16}, .make = MakeOneHits},
    {.name = "sessions", .memory_mib = {4, 16}, .make = MakeSessions},
    {.name = "sizes", .has_sizes = true, .memory_mib = {16, 64}, .make = MakeSizes},
    {.name = "size-shift", .has_sizes = true, .memory_mib = {16, 32}, .make = MakeSizeShift},
};

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

constexpr std::size_t kChunkRecords = 1 << 16;

}  // namespace

std::span<const WorkloadSpec> AllWorkloads() { return kWorkloads; }

Result<std::vector<CacheRequest>, std::string> LoadWorkload(const WorkloadSpec& spec,
                                                            const std::string& folder) {
  if (spec.make != nullptr) return spec.make();
  const std::string path = fmt::format("{}/{}.txt", folder, spec.name);
  const File file(std::fopen(path.c_str(), "r"), std::fclose);
  if (!file) return Failure{fmt::format("{}: {}", path, std::strerror(errno))};
  TraceReader reader(file.get(), {.value_bytes_default = kValueBytes,
                                  .value_bytes_max = LarderCache::kValueBytesMax});
  std::vector<CacheRequest> requests;
  std::vector<TraceRecord> records;
  for (;;) {
    const std::string trouble = reader.Read(records, kChunkRecords);
    if (!trouble.empty()) return Failure{fmt::format("{}: {}", path, trouble)};
    if (records.empty()) return requests;
    for (const TraceRecord& record : records) {
      requests.push_back({.key = static_cast<Key>(record.key),
                          .item_bytes = LarderCache::kHeadBytes + record.value_bytes});
    }
  }
}

}  // namespace larder::bench
