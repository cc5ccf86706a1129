// A run of all workers from start to end.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "tests/bench/load_worker.h"
#include "tests/bench/options.h"
#include "tests/bench/process_cpu.h"
#include "tests/bench/request_source.h"

namespace larder::bench {

inline constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

using Workers = std::deque<LoadWorker>;                       // Never moved.
using Sources = std::vector<std::unique_ptr<RequestSource>>;  // One a worker.

struct StagePlan {
  const char* name;
  RunPlan run;
  double warmup_s = 0.0;
  std::int64_t measured_ns = kNever;  // Or until the sources end, if that comes first.
  std::int64_t give_up_ns = kNever;   // As NowNs().
};

// The two ends of the measured time, and the server's CPU time at each.
struct Interval {
  std::int64_t from_ns = 0;
  std::int64_t to_ns = 0;
  std::optional<CpuTime> cpu_from;
  std::optional<CpuTime> cpu_to;
};

// Gives every worker a thread, steps them through the phases by the clock, prints a progress line
// a second if the options say so, and returns when all have ended.
Interval RunStage(const StagePlan& plan, const LoadOptions& options, Workers& workers,
                  const Sources& sources);

// The CPU time so far of the server that the options name, if they do and it lives.
std::optional<CpuTime> ServerCpu(const LoadOptions& options);

}  // namespace larder::bench
