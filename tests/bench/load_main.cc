// larder_load: loads a server of this machine and measures it.
//
// main connects, starts one LoadWorker a thread, steps them through the phases of a run by the
// clock, and adds up what they counted.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/clock.h"
#include "tests/bench/idle_connections.h"
#include "tests/bench/load_worker.h"
#include "tests/bench/options.h"
#include "tests/bench/report.h"

namespace larder::bench {
namespace {

constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();
constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

using Workers = std::deque<LoadWorker>;                       // Never moved.
using Sources = std::vector<std::unique_ptr<RequestSource>>;  // One a worker.

// Prints how far the workers are, once a second.
class Progress {
 public:
  Progress(bool enabled, const char* what, const Workers& workers)
      : enabled_(enabled), what_(what), workers_(workers), answered_(Answered()) {}

  // `now_ns` may come at any pace.
  void Tick(std::int64_t now_ns) {
    if (!enabled_ || now_ns < next_ns_) return;
    const std::uint64_t answered = Answered();
    const double seconds = static_cast<double>(now_ns - last_ns_) / kSecondNs;
    fmt::print(stderr, "{}: {:>3.0f} s  {:>9.0f} requests/s\n", what_,
               static_cast<double>(now_ns - start_ns_) / kSecondNs,
               static_cast<double>(answered - answered_) / seconds);
    answered_ = answered;
    last_ns_ = now_ns;
    next_ns_ += kSecondNs;
  }

 private:
  std::uint64_t Answered() const {
    std::uint64_t sum = 0;
    for (const LoadWorker& worker : workers_) sum += worker.requests_answered();
    return sum;
  }

  const bool enabled_;
  const char* const what_;
  const Workers& workers_;
  const std::int64_t start_ns_ = NowNs();
  std::int64_t last_ns_ = start_ns_;
  std::int64_t next_ns_ = start_ns_ + kSecondNs;
  std::uint64_t answered_;
};

// What main saw at the two ends of the measured time.
struct Interval {
  std::int64_t from_ns = 0;
  std::int64_t to_ns = 0;
  std::optional<CpuTime> cpu_from;
  std::optional<CpuTime> cpu_to;
};

struct StagePlan {
  const char* name;
  RunPlan run;
  double warmup_s = 0.0;
  std::int64_t measured_ns = kNever;  // Or until the sources end, if that comes first.
  std::int64_t give_up_ns = kNever;   // As NowNs().
};

std::optional<CpuTime> ServerCpu(const LoadOptions& options) {
  return options.server_pid != 0 ? ReadCpuTime(options.server_pid) : std::nullopt;
}

// Sleeps until that time, or until all workers have ended.
void WatchUntil(std::int64_t until_ns, const RunControl& control, Progress& progress) {
  constexpr std::int64_t kLookNs = 20'000'000;
  for (std::int64_t now_ns = NowNs(); now_ns < until_ns; now_ns = NowNs()) {
    if (control.workers_running.load(std::memory_order_acquire) == 0) return;
    progress.Tick(now_ns);
    std::this_thread::sleep_for(std::chrono::nanoseconds(std::min(kLookNs, until_ns - now_ns)));
  }
}

// Runs the workers from start to end: a thread each, and this one to change the phases.
Interval RunStage(const StagePlan& plan, const LoadOptions& options, Workers& workers,
                  const Sources& sources) {
  Interval interval;
  RunControl control;
  control.workers_running = static_cast<std::uint32_t>(workers.size());
  const auto begin_measuring = [&] {
    interval.cpu_from = ServerCpu(options);
    interval.from_ns = NowNs();
    control.measure_from_ns.store(interval.from_ns, std::memory_order_relaxed);
    control.phase.store(Phase::kMeasure, std::memory_order_release);
  };

  Progress progress(options.progress, plan.name, workers);
  // Without a warm-up the very first request counts already.
  if (plan.warmup_s == 0.0) begin_measuring();
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < workers.size(); ++i) {
    threads.emplace_back([&, i] { workers[i].Run(*sources[i], plan.run, control); });
  }
  if (plan.warmup_s != 0.0) {
    WatchUntil(NowNs() + static_cast<std::int64_t>(plan.warmup_s * kSecondNs), control, progress);
    begin_measuring();
  }
  const bool is_timed = plan.measured_ns != kNever;
  const std::int64_t stop_ns = is_timed ? interval.from_ns + plan.measured_ns : kNever;
  WatchUntil(std::min(stop_ns, plan.give_up_ns), control, progress);
  interval.to_ns = NowNs();
  interval.cpu_to = ServerCpu(options);
  control.phase.store(Phase::kStop, std::memory_order_release);
  WatchUntil(kNever, control, progress);
  threads.clear();  // Joins them; the workers may be read from here on.

  if (!is_timed) {
    // The sources ended the run, some time before this thread looked.
    interval.to_ns = 0;
    for (const LoadWorker& worker : workers) {
      interval.to_ns = std::max(interval.to_ns, worker.finished_ns());
    }
  }
  return interval;
}

// An empty text, or the first worker's failure.
std::string FailureOf(const Workers& workers) {
  for (const LoadWorker& worker : workers) {
    if (!worker.failure().empty()) return worker.failure();
  }
  return {};
}

Tally SumOf(const Workers& workers) {
  Tally sum;
  for (const LoadWorker& worker : workers) sum.Merge(worker.tally());
  return sum;
}

Sources LoadSources(const LoadOptions& options) {
  Sources sources;
  for (std::uint64_t i = 0; i < options.threads; ++i) {
    const auto edge = [&](std::uint64_t index) {
      return static_cast<std::uint32_t>(options.keys * index / options.threads);
    };
    sources.push_back(std::make_unique<LoadSource>(edge(i), edge(i + 1)));
  }
  return sources;
}

Sources MixSources(const LoadOptions& options) {
  Sources sources;
  for (std::uint64_t i = 0; i < options.threads; ++i) {
    std::uint64_t requests_max = kUnlimited;
    if (options.operations) {
      const auto edge = [&](std::uint64_t index) {
        return static_cast<std::uint64_t>(static_cast<double>(*options.operations) *
                                          static_cast<double>(index) / options.threads);
      };
      requests_max = edge(i + 1) - edge(i);
    }
    sources.push_back(std::make_unique<MixSource>(options, Mix(options.seed) + i, requests_max));
  }
  return sources;
}

// Loading pipelines deeply, but keeps to some 64 KB a send.
RunPlan LoadPlan(const LoadOptions& options) {
  constexpr std::size_t kSendBytes = 64 << 10;
  const std::size_t set_bytes = options.key_bytes + options.value_bytes_max + 30;
  const std::size_t depth = std::clamp<std::size_t>(kSendBytes / set_bytes, 1, 64);
  return {.pacing = Pacing::kClosedLoop, .depth = static_cast<std::uint32_t>(depth)};
}

int Fail(const std::string& why) {
  fmt::print(stderr, "larder_load: {}\n", why);
  return 1;
}

int Run(const LoadOptions& options) {
  const std::int64_t give_up_ns =
      NowNs() + static_cast<std::int64_t>(options.timeout_s * kSecondNs);
  const std::uint64_t files = options.connections + options.idle_connections + 100;
  if (!RaiseFileLimit(files)) return Fail(fmt::format("needs {} open files (ulimit -n)", files));
  if (options.server_pid != 0 && !ServerCpu(options)) {
    return Fail(fmt::format("there is no process {}", options.server_pid));
  }

  const KeyFormat keys(options.key_bytes);
  const ValuePattern values(options.seed, options.value_bytes_max);
  const Workbench bench{.options = options, .keys = keys, .values = values};
  Workers workers;
  for (std::uint32_t i = 0; i < options.threads; ++i) {
    if (std::string why = workers.emplace_back(bench, i).Connect(); !why.empty()) return Fail(why);
  }
  const auto idle = OpenIdleConnections(options.address, options.idle_connections);
  if (!idle) return Fail(idle.error());

  LoadReport report;
  if (options.load) {
    const StagePlan plan{.name = "load", .run = LoadPlan(options), .give_up_ns = give_up_ns};
    RunStage(plan, options, workers, LoadSources(options));
    if (std::string why = FailureOf(workers); !why.empty()) return Fail(why);
    const Tally loaded = SumOf(workers);
    report.loaded = loaded.requests - loaded.errors;
    report.load_errors = loaded.errors;
    report.tally.first_error = loaded.first_error;
  }
  const StagePlan plan{.name = "run",
                       .run = {.pacing = options.rate ? Pacing::kOpenLoop : Pacing::kClosedLoop,
                               .depth = options.depth},
                       .warmup_s = options.warmup_s,
                       .measured_ns = options.operations
                                          ? kNever
                                          : static_cast<std::int64_t>(options.seconds * kSecondNs),
                       .give_up_ns = give_up_ns};
  const Interval interval = RunStage(plan, options, workers, MixSources(options));
  if (std::string why = FailureOf(workers); !why.empty()) return Fail(why);
  if (interval.to_ns >= give_up_ns) {
    return Fail(fmt::format("not done after {} seconds (--timeout)", options.timeout_s));
  }

  report.tally.Merge(SumOf(workers));
  report.seconds = static_cast<double>(interval.to_ns - interval.from_ns) / kSecondNs;
  if (interval.cpu_from && interval.cpu_to) {
    report.server_cpu =
        CpuTime{.total_s = interval.cpu_to->total_s - interval.cpu_from->total_s,
                .user_s = interval.cpu_to->user_s - interval.cpu_from->user_s,
                .system_s = interval.cpu_to->system_s - interval.cpu_from->system_s};
  }
  fmt::print("{}", options.json ? AsJson(report) : AsText(report));
  return report.load_errors + report.tally.errors + report.tally.wrong_values == 0 ? 0 : 1;
}

}  // namespace
}  // namespace larder::bench

int main(int argc, char** argv) {
  const auto options = larder::bench::ParseLoadOptions(argc, argv);
  if (!options) {
    fmt::print(options.error().exit_code == 0 ? stdout : stderr, "{}", options.error().message);
    return options.error().exit_code;
  }
  return larder::bench::Run(*options);
}
