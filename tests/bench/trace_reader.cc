#include "tests/bench/trace_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace larder::bench {

TraceReader::TraceReader(std::FILE* file, const TraceLimits& limits)
    : file_(file), limits_(limits), block_(new char[kBlockBytes]) {}

std::string TraceReader::Read(std::vector<TraceRecord>& records, std::size_t records_max) {
  records.clear();
  while (records.size() < records_max) {
    const char* const line = &block_[begin_];
    const auto* newline = static_cast<const char*>(std::memchr(line, '\n', end_ - begin_));
    if (newline == nullptr && FillBlock()) continue;
    if (std::ferror(file_) != 0) return "the trace cannot be read";
    if (newline == nullptr && begin_ == end_) return {};
    // What follows the last '\n' of the file is a line, too.
    const char* const line_end = newline != nullptr ? newline : &block_[end_];
    ++line_number_;
    begin_ = std::min<std::size_t>(end_, static_cast<std::size_t>(line_end - block_.get()) + 1);
    if (line == line_end || *line == '#' || *line == '\r') continue;
    if (!ParseLine(line, line_end, records.emplace_back())) {
      return fmt::format("line {} of the trace is neither `key` nor `key,size`", line_number_);
    }
  }
  return {};
}

// Moves the unread rest to the front and reads behind it. False if that is of no use any more; then
// nothing has moved.
bool TraceReader::FillBlock() {
  if (at_end_of_file_ || end_ - begin_ == kBlockBytes) return false;
  std::memmove(&block_[0], &block_[begin_], end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  const std::size_t read = std::fread(&block_[end_], 1, kBlockBytes - end_, file_);
  end_ += read;
  at_end_of_file_ = read == 0;
  return true;
}

bool TraceReader::ParseLine(const char* begin, const char* end, TraceRecord& record) const {
  if (end[-1] == '\r') --end;
  auto parsed = std::from_chars(begin, end, record.key);
  if (parsed.ec != std::errc{}) return false;
  record.value_bytes = limits_.value_bytes_default;
  if (parsed.ptr != end && *parsed.ptr == ',') {
    std::uint64_t value_bytes = 0;
    parsed = std::from_chars(parsed.ptr + 1, end, value_bytes);
    if (parsed.ec != std::errc{}) return false;
    record.value_bytes =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(value_bytes, limits_.value_bytes_max));
  }
  return parsed.ptr == end;
}

}  // namespace larder::bench
