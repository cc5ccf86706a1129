// Replays of request traces against caches of all simulated sizes at once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "slab/cache.h"

namespace larder::slab {

// A request of a trace: a get of a key, which is set on a miss with a value of this length.
struct TraceRequest {
  std::uint64_t key = 0;
  std::uint32_t value_bytes = 0;
};

// Reads one of the project's traces, `requests_max` requests at most. Empty, with a loud word, if
// it is not there.
std::vector<TraceRequest> LoadTrace(const std::string& name, std::size_t requests_max);

// TraceReplay has a cache for each simulated size, and gives them all the same requests. The one of
// the present size estimates what the others do.
//
// Threads:    one thread.
// Owns:       the caches.
class TraceReplay {
 public:
  // Requests between two rounds of maintenance: 2,000 a second.
  static constexpr std::size_t kRequestsPerRound = 100;

  TraceReplay(std::uint64_t limit_bytes, std::uint64_t hash_seed);

  void Replay(const std::vector<TraceRequest>& requests);

  // Miss ratios of the whole replay so far: true ones, and estimated ones.
  double TrueRatio(std::size_t size) const;
  double EstimatedRatio(std::size_t size) const;
  // The largest difference of any size.
  double WorstError() const;
  // The same with the weights of MissRatioCurve, in which old references count less.
  double TrueRecentRatio(std::size_t size) const;
  double WorstRecentError() const;
  MissRatioEstimate Estimate() const { return caches_[kPresentSize]->EstimateMissRatios(); }
  // A line for each size.
  std::string Table() const;

 private:
  // Returns whether it was a miss.
  bool Request(std::size_t size, const TraceRequest& request);
  void EndRound(std::size_t requests);

  std::array<std::unique_ptr<Cache>, kSimulatedSizes> caches_;
  std::array<Lane*, kSimulatedSizes> lanes_{};
  std::uint64_t rounds_ = 0;
  std::uint64_t requests_ = 0;
  std::array<std::uint64_t, kSimulatedSizes> misses_{};
  std::array<std::uint64_t, kSimulatedSizes> misses_of_round_{};
  // What MissRatioCurve would count without errors of the sample.
  double recent_ = 0;
  std::array<double, kSimulatedSizes> recent_misses_{};
  // What it counted, with nothing halved.
  double estimated_references_ = 0;
  std::array<double, kSimulatedSizes> estimated_misses_{};
  MissRatioEstimate before_;
};

}  // namespace larder::slab
