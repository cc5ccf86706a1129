#include "tests/slab/trace_replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <string_view>

#include "slab/check.h"
#include "slab/mrc/miss_ratio_curve.h"
#include "tests/slab/counted_read.h"

namespace larder::slab {
namespace {

constexpr std::uint32_t kValueBytesDefault = 1000;
constexpr std::uint32_t kValueBytesMax = 1'000'000;
constexpr std::uint32_t kReplayStartS = 1'000'000;

// A line `key` or `key,size`.
TraceRequest ParseRequest(std::string_view line) {
  TraceRequest request{.value_bytes = kValueBytesDefault};
  const auto key = std::from_chars(line.data(), line.data() + line.size(), request.key);
  if (*key.ptr == ',') {
    std::uint64_t bytes = 0;
    std::from_chars(key.ptr + 1, line.data() + line.size(), bytes);
    request.value_bytes =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes, kValueBytesMax));
  }
  return request;
}

}  // namespace

std::vector<TraceRequest> LoadTrace(const std::string& name, std::size_t requests_max) {
  const auto root = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  const auto path = root.parent_path() / "shared" / "traces" / (name + ".txt.xz");
  std::vector<TraceRequest> requests;
  if (!std::filesystem::exists(path)) {
    fmt::print("************ skipped: there is no {} ************\n", path.string());
    return requests;
  }
  const std::string command = "xz -dc " + path.string();
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(popen(command.c_str(), "r"), pclose);
  LARDER_CHECK(file != nullptr);
  std::array<char, 128> line{};
  while (requests.size() < requests_max &&
         std::fgets(line.data(), static_cast<int>(line.size()), file.get()) != nullptr) {
    if (line[0] >= '0' && line[0] <= '9') requests.push_back(ParseRequest(line.data()));
  }
  return requests;
}

TraceReplay::TraceReplay(std::uint64_t limit_bytes, std::uint64_t hash_seed) {
  const MiniatureCaches sizes(limit_bytes);
  for (std::size_t size = 0; size < kSimulatedSizes; ++size) {
    caches_[size] = std::move(*Cache::Create({.memory_bytes = sizes.limit_bytes(size),
                                              .estimate_miss_ratios = size == kPresentSize,
                                              .hash_seed = hash_seed}));
    lanes_[size] = &caches_[size]->AddLane();
  }
  before_ = Estimate();
}

void TraceReplay::Replay(const std::vector<TraceRequest>& requests) {
  std::size_t of_round = 0;
  for (const TraceRequest& request : requests) {
    for (std::size_t size = 0; size < kSimulatedSizes; ++size) {
      misses_of_round_[size] += Request(size, request) ? 1 : 0;
    }
    if (++of_round == kRequestsPerRound) EndRound(std::exchange(of_round, 0));
  }
  EndRound(of_round);
}

bool TraceReplay::Request(std::size_t size, const TraceRequest& request) {
  static const std::string value(kValueBytesMax, 'v');
  Cache& cache = *caches_[size];
  Lane& lane = *lanes_[size];
  const std::string name = fmt::format("{:020}", request.key);
  const HashedKey key{.bytes = name, .hash = cache.Hash(name)};
  const Presence presence = CountedRead(cache, key, lane);
  if (presence == Presence::kHit) return false;
  if (const auto removal = cache.LastRemovalOf(key.hash, lane)) {
    cache.NoteMiss(key.hash, *removal, lane);
  }
  cache.NoteAbsent(key.hash, lane);
  (void)cache.Store(StoreMode::kSet, {.key = key, .value_bytes = request.value_bytes},
                    std::string_view(value).substr(0, request.value_bytes), 0, lane);
  return true;
}

void TraceReplay::EndRound(std::size_t requests) {
  const auto now_s =
      static_cast<std::uint32_t>(kReplayStartS + ++rounds_ / MissRatios::kRoundsPerSecond);
  for (std::size_t size = 0; size < kSimulatedSizes; ++size) {
    lanes_[size]->SetNow({.now_s = now_s});
    if (rounds_ % MissRatios::kRoundsPerSecond == 0) caches_[size]->Tick(now_s);
    caches_[size]->Maintain(*lanes_[size]);
    caches_[size]->BalancePages(*lanes_[size]);
  }
  requests_ += requests;
  const MissRatioEstimate now = Estimate();
  // The counts were halved in this round, or not.
  const bool is_halved = now.counted_references < before_.counted_references;
  const double factor = is_halved ? 2 : 1;
  const double fresh = factor * now.counted_references - before_.counted_references;
  estimated_references_ += fresh;
  recent_ = (recent_ + fresh) / factor;
  for (std::size_t size = 0; size < kSimulatedSizes; ++size) {
    const double misses = factor * now.counted_references * now.points[size].miss_ratio -
                          before_.counted_references * before_.points[size].miss_ratio;
    estimated_misses_[size] += misses;
    const std::uint64_t true_misses = std::exchange(misses_of_round_[size], 0);
    misses_[size] += true_misses;
    if (requests == 0) continue;
    recent_misses_[size] +=
        fresh * static_cast<double>(true_misses) / static_cast<double>(requests);
    recent_misses_[size] /= factor;
  }
  before_ = now;
}

double TraceReplay::TrueRatio(std::size_t size) const {
  return static_cast<double>(misses_[size]) / static_cast<double>(requests_);
}

double TraceReplay::EstimatedRatio(std::size_t size) const {
  // Each round has the same number of requests, but the sample has had more of the first ones.
  return estimated_misses_[size] / estimated_references_;
}

double TraceReplay::TrueRecentRatio(std::size_t size) const {
  return recent_misses_[size] / recent_;
}

double TraceReplay::WorstError() const {
  double worst = 0;
  for (std::size_t size = 0; size < kSimulatedSizes; ++size) {
    worst = std::max(worst, std::abs(TrueRatio(size) - EstimatedRatio(size)));
  }
  return worst;
}

double TraceReplay::WorstRecentError() const {
  double worst = 0;
  for (std::size_t size = 0; size < kSimulatedSizes; ++size) {
    worst = std::max(worst, std::abs(TrueRecentRatio(size) - Estimate().points[size].miss_ratio));
  }
  return worst;
}

std::string TraceReplay::Table() const {
  const MissRatioEstimate estimate = Estimate();
  std::string table =
      fmt::format("rate {:.4f}, {} keys, {} references, {} sampled\n", estimate.sample_rate,
                  estimate.sampled_keys, estimate.references, estimate.sampled_references);
  for (std::size_t size = 0; size < kSimulatedSizes; ++size) {
    const auto& point = estimate.points[size];
    table += fmt::format(
        "{:>4}% {:>10} bytes {:>7} items ({:>7} true)  miss ratio {:.4f} ({:.4f} true)"
        "  recent {:.4f} ({:.4f} true)\n",
        kSizePercents[size], point.limit_bytes, point.items, caches_[size]->Alive().items,
        EstimatedRatio(size), TrueRatio(size), point.miss_ratio, TrueRecentRatio(size));
  }
  return table;
}

}  // namespace larder::slab
