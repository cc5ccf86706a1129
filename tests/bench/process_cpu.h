// The CPU time of another process.
#pragma once

#include <optional>

namespace larder::bench {

struct CpuTime {
  double total_s = 0.0;  // Precise: from the scheduler's nanosecond counters, all threads.
  double user_s = 0.0;   // In ticks of 10 ms, so good for the share of a longer run only.
  double system_s = 0.0;
};

// What the process has used so far, or nothing if it is gone. A thread that ends takes its share
// of total_s with it, which servers' threads do not do.
std::optional<CpuTime> ReadCpuTime(int pid);

}  // namespace larder::bench
