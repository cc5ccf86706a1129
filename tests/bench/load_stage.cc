#include "tests/bench/load_stage.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "tests/bench/clock.h"

namespace larder::bench {
namespace {

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

// Sleeps until that time, or until all workers have ended.
void WatchUntil(std::int64_t until_ns, const RunControl& control, Progress& progress) {
  constexpr std::int64_t kLookNs = 20'000'000;
  for (std::int64_t now_ns = NowNs(); now_ns < until_ns; now_ns = NowNs()) {
    if (control.workers_running.load(std::memory_order_acquire) == 0) return;
    progress.Tick(now_ns);
    std::this_thread::sleep_for(std::chrono::nanoseconds(std::min(kLookNs, until_ns - now_ns)));
  }
}

}  // namespace

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
  control.stop_ns.store(interval.to_ns, std::memory_order_relaxed);
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

std::optional<CpuTime> ServerCpu(const LoadOptions& options) {
  return options.server_pid != 0 ? ReadCpuTime(options.server_pid) : std::nullopt;
}

}  // namespace larder::bench
