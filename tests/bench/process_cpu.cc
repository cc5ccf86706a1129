#include "tests/bench/process_cpu.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

namespace larder::bench {
namespace {

// Nanoseconds on a CPU are the first number of schedstat (proc(5)).
double ScheduledSeconds(int pid) {
  double total_ns = 0.0;
  std::error_code error;
  const std::string tasks = fmt::format("/proc/{}/task", pid);
  for (const auto& task : std::filesystem::directory_iterator(tasks, error)) {
    std::ifstream file(task.path() / "schedstat");
    std::uint64_t task_ns = 0;
    if (file >> task_ns) total_ns += static_cast<double>(task_ns);
  }
  return total_ns * 1e-9;
}

}  // namespace

std::optional<CpuTime> ReadCpuTime(int pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  // The name in parentheses may hold spaces; utime and stime are the 12th and 13th field after it.
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  const char* rest = line.c_str() + name_end + 1;
  std::uint64_t user_ticks = 0;
  std::uint64_t system_ticks = 0;
  const int read = std::sscanf(rest, " %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu %lu",
                               &user_ticks, &system_ticks);
  if (read != 2) return std::nullopt;
  const double ticks_per_s = static_cast<double>(sysconf(_SC_CLK_TCK));
  return CpuTime{.total_s = ScheduledSeconds(pid),
                 .user_s = static_cast<double>(user_ticks) / ticks_per_s,
                 .system_s = static_cast<double>(system_ticks) / ticks_per_s};
}

}  // namespace larder::bench
