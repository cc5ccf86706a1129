// larder_load: loads a server of this machine and measures it.
//
// main connects, runs the workers (to load the keys, then to measure), and adds up what they
// counted.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <memory>
#include <string>

#include "tests/bench/clock.h"
#include "tests/bench/idle_connections.h"
#include "tests/bench/load_stage.h"
#include "tests/bench/options.h"
#include "tests/bench/report.h"

namespace larder::bench {
namespace {

constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

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
