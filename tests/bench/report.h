// The result of a run, as text and as JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tests/bench/process_cpu.h"
#include "tests/bench/tally.h"

namespace larder::bench {

struct LoadReport {
  Tally tally;
  double seconds = 0.0;      // Measured.
  std::uint64_t loaded = 0;  // Keys set before the run.
  std::uint64_t load_errors = 0;
  std::optional<CpuTime> server_cpu;  // Used by the server in the measured time.
};

std::string AsText(const LoadReport& report);
std::string AsJson(const LoadReport& report);

// `text` as a JSON string, with its quotes.
std::string JsonString(const std::string& text);

}  // namespace larder::bench
