// larder_replay: replays a trace against one server or two, and counts hits.
//
// The trace is read in chunks, and each chunk replayed against one server after the other, so that
// both meet the same state of the machine, and a trace of any length fits into memory.
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <string>

#include "tests/bench/clock.h"
#include "tests/bench/replay_client.h"
#include "tests/bench/replay_options.h"
#include "tests/bench/report.h"

namespace larder::bench {
namespace {

constexpr std::size_t kChunkRecords = 1 << 16;

using Clients = std::deque<ReplayClient>;  // In the order of the options' servers.
using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

double MissRatio(const ReplayTally& tally) {
  if (tally.requests == 0) return 0.0;
  return static_cast<double>(tally.misses) / static_cast<double>(tally.requests);
}

double RequestsPerSecond(const ReplayTally& tally) {
  if (tally.elapsed_ns == 0) return 0.0;
  return static_cast<double>(tally.requests) * kSecondNs / static_cast<double>(tally.elapsed_ns);
}

void PrintText(const ReplayOptions& options, const Clients& clients) {
  fmt::print("{:<22}{:>12}{:>12}{:>12}{:>12}{:>8}{:>9}{:>12}\n", "server", "requests", "hits",
             "misses", "miss ratio", "wrong", "refused", "requests/s");
  for (std::size_t i = 0; i < clients.size(); ++i) {
    const ReplayTally& tally = clients[i].tally();
    fmt::print("{:<22}{:>12}{:>12}{:>12}{:>12.4f}{:>8}{:>9}{:>12.0f}\n", options.servers[i].Text(),
               tally.requests, tally.hits, tally.misses, MissRatio(tally), tally.wrong_values,
               tally.refused_sets, RequestsPerSecond(tally));
    if (!tally.first_refusal.empty()) fmt::print("  first refusal: {}\n", tally.first_refusal);
  }
}

void PrintJson(const ReplayOptions& options, const Clients& clients) {
  fmt::print("[");
  for (std::size_t i = 0; i < clients.size(); ++i) {
    const ReplayTally& tally = clients[i].tally();
    fmt::print(
        "{}{{\"server\": {}, \"requests\": {}, \"hits\": {}, \"misses\": {}, "
        "\"miss_ratio\": {:.6f}, \"wrong_values\": {}, \"refused_sets\": {}, "
        "\"first_refusal\": {}, \"seconds\": {:.6f}, \"requests_per_s\": {:.1f}}}",
        i == 0 ? "" : ", ", JsonString(options.servers[i].Text()), tally.requests, tally.hits,
        tally.misses, MissRatio(tally), tally.wrong_values, tally.refused_sets,
        JsonString(tally.first_refusal), static_cast<double>(tally.elapsed_ns) / kSecondNs,
        RequestsPerSecond(tally));
  }
  fmt::print("]\n");
}

int Fail(const std::string& why) {
  fmt::print(stderr, "larder_replay: {}\n", why);
  return 1;
}

// Replays the whole trace. An empty text, or what went wrong.
std::string ReplayAll(const ReplayOptions& options, std::FILE* file, const KeyFormat& keys,
                      Clients& clients) {
  TraceReader reader(file, options.limits);
  std::vector<TraceRecord> records;
  std::uint64_t requests_left = options.requests_max;
  std::int64_t next_progress_ns = NowNs() + kSecondNs;
  while (requests_left != 0) {
    std::string trouble =
        reader.Read(records, std::min<std::uint64_t>(kChunkRecords, requests_left));
    if (!trouble.empty()) return trouble;
    if (records.empty()) break;
    requests_left -= records.size();
    for (const TraceRecord& record : records) {
      if (!keys.Fits(record.key)) {
        return fmt::format("key {} has no room in {} bytes", record.key, options.key_bytes);
      }
    }
    for (std::size_t i = 0; i < clients.size(); ++i) {
      trouble = clients[i].Replay(records);
      if (!trouble.empty()) return fmt::format("{}: {}", options.servers[i].Text(), trouble);
    }
    if (options.progress && NowNs() >= next_progress_ns) {
      next_progress_ns = NowNs() + kSecondNs;
      fmt::print(stderr, "{} requests, miss ratio {:.4f}\n", clients.back().tally().requests,
                 MissRatio(clients.back().tally()));
    }
  }
  return {};
}

int Run(const ReplayOptions& options) {
  File file(stdin, [](std::FILE*) { return 0; });
  if (!options.trace_path.empty()) {
    file = File(std::fopen(options.trace_path.c_str(), "r"), std::fclose);
    if (!file) return Fail(fmt::format("{}: {}", options.trace_path, std::strerror(errno)));
  }
  const KeyFormat keys(options.key_bytes);
  const ValuePattern values(options.seed, options.limits.value_bytes_max);
  Clients clients;
  for (const Address& server : options.servers) {
    auto fd = Connect(server);
    if (!fd) return Fail(fd.error());
    clients.emplace_back(std::move(*fd), keys, values, options.shape);
  }
  if (const std::string why = ReplayAll(options, file.get(), keys, clients); !why.empty()) {
    return Fail(why);
  }
  options.json ? PrintJson(options, clients) : PrintText(options, clients);
  std::uint64_t wrong_values = 0;
  for (const ReplayClient& client : clients) wrong_values += client.tally().wrong_values;
  return wrong_values == 0 ? 0 : 1;
}

}  // namespace
}  // namespace larder::bench

int main(int argc, char** argv) {
  const auto options = larder::bench::ParseReplayOptions(argc, argv);
  if (!options) {
    fmt::print(options.error().exit_code == 0 ? stdout : stderr, "{}", options.error().message);
    return options.error().exit_code;
  }
  return larder::bench::Run(*options);
}
