// Lru: evicts what was used longest ago.
#pragma once

#include "tests/bench/policies/policy.h"

namespace larder::bench {

// Threads: one worker.
class Lru final : public Policy {
 public:
  using Policy::Policy;
  std::uint64_t used() const override { return queue_.total(); }

 private:
  bool Request(Key key, std::uint32_t size) override {
    if (queue_.Contains(key)) {
      queue_.MoveToFront(key);
      return true;
    }
    if (size > capacity()) return false;
    while (used() + size > capacity()) queue_.PopBack();
    queue_.PushFront(key, size);
    return false;
  }

  KeyQueue queue_;
};

}  // namespace larder::bench
