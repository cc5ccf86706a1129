// Reading request traces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "slab/result.h"

namespace larder::bench {

struct TraceRecord {
  std::uint64_t key = 0;
  std::uint32_t value_bytes = 0;
};

struct TraceLimits {
  std::uint32_t value_bytes_default = 100;    // For lines without a size.
  std::uint32_t value_bytes_max = 1'000'000;  // Larger sizes are cut to this.
};

// TraceReader reads a trace from front to back: a request a line, `key` or `key,size`, both
// decimal. Empty lines and lines that start with '#' are no requests.
//
// Threads: one worker.
class TraceReader {
 public:
  // Reads `file` but does not close it. REQUIRES: `file` is open for reading.
  TraceReader(std::FILE* file, const TraceLimits& limits);

  // Replaces `records` by up to `records_max` further ones; none at the end of the trace. Fails
  // with the line's number where a line is no request, and when the file cannot be read.
  [[nodiscard]] std::string Read(std::vector<TraceRecord>& records, std::size_t records_max);

 private:
  static constexpr std::size_t kBlockBytes = 1 << 18;

  bool FillBlock();
  bool ParseLine(const char* begin, const char* end, TraceRecord& record) const;

  std::FILE* const file_;
  const TraceLimits limits_;
  const std::unique_ptr<char[]> block_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool at_end_of_file_ = false;
  std::uint64_t line_number_ = 0;
};

}  // namespace larder::bench
