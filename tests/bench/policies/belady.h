// Belady: the optimum for values of one size, with knowledge of the future.
#pragma once

#include <cstddef>
#include <queue>
#include <span>
#include <utility>
#include <vector>

#include "tests/bench/policies/policy.h"

namespace larder::bench {

// Evicts the key that is used furthest in the future, the new one included.
//
// Threads: one worker.
// Source:  Belady, "A study of replacement algorithms for a virtual-storage computer", IBM Systems
//          Journal, 1966.
class Belady final : public Policy {
 public:
  // `keys`: of all requests that will come, in their order. Each has size 1.
  Belady(std::uint64_t capacity, std::span<const Key> keys);
  std::uint64_t used() const override { return count_; }

 private:
  using Use = std::pair<std::uint64_t, Key>;  // The number of a request, and its key.

  bool Request(Key key, std::uint32_t size) override;
  void EvictFurthest();

  std::vector<std::uint64_t> next_uses_;  // By request: the next one for the same key.
  std::size_t now_ = 0;
  // The next use of each key in the cache; 0: it is not there.
  KeyTable<std::uint64_t> kept_until_;
  // Those of kept_until_, and former ones.
  std::priority_queue<Use> uses_;
  std::uint64_t count_ = 0;
};

}  // namespace larder::bench
