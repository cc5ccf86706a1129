// Which request comes next.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/bench/options.h"
#include "tests/bench/random.h"
#include "tests/bench/zipf.h"

namespace larder::bench {

struct PlannedRequest {
  bool is_set = false;
  std::vector<std::uint32_t> keys;  // One for a set.
};

// Threads: one worker.
class RequestSource {
 public:
  virtual ~RequestSource() = default;

  // Overwrites `request` with the next one. False when there are no more.
  virtual bool Next(PlannedRequest& request) = 0;
};

// Sets the keys [first, last), once each.
class LoadSource : public RequestSource {
 public:
  LoadSource(std::uint32_t first, std::uint32_t last) : next_(first), last_(last) {}

  bool Next(PlannedRequest& request) override {
    if (next_ == last_) return false;
    request.is_set = true;
    request.keys.assign(1, next_++);
    return true;
  }

 private:
  std::uint32_t next_;
  const std::uint32_t last_;
};

// The mix of random gets and sets that the options ask for, `requests_max` of them.
class MixSource : public RequestSource {
 public:
  MixSource(const LoadOptions& options, std::uint64_t seed, std::uint64_t requests_max)
      : chooser_(options.keys, options.zipf_theta),
        keys_per_get_(options.keys_per_get),
        set_ratio_(options.set_ratio),
        random_(seed),
        requests_left_(requests_max) {}

  bool Next(PlannedRequest& request) override {
    if (requests_left_ == 0) return false;
    --requests_left_;
    request.is_set = set_ratio_ > 0.0 && random_.Unit() < set_ratio_;
    request.keys.resize(request.is_set ? 1 : keys_per_get_);
    for (std::uint32_t& key : request.keys) key = chooser_.Draw(random_);
    return true;
  }

 private:
  const KeyChooser chooser_;
  const std::uint32_t keys_per_get_;
  const double set_ratio_;
  Random random_;
  std::uint64_t requests_left_;
};

}  // namespace larder::bench
