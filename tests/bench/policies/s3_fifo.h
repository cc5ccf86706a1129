// S3Fifo: three queues in the order of arrival.
#pragma once

#include "tests/bench/policies/policy.h"

namespace larder::bench {

// New keys come to a small queue of a tenth of the capacity. Those that were hit more than once go
// on to the main queue, where a hit is worth another round; the others leave a ghost, and go to the
// main queue when they come back. There are as many ghosts as keys in main.
//
// Threads: one worker.
// Source:  Yang et al., "FIFO Queues are All You Need for Cache Eviction", SOSP 2023.
class S3Fifo final : public Policy {
 public:
  using Policy::Policy;
  std::uint64_t used() const override { return small_.total() + main_.total(); }

 private:
  static constexpr std::uint64_t kSmallDivisor = 10;
  static constexpr std::uint8_t kHitsMax = 3;
  static constexpr std::uint8_t kHitsForMain = 2;

  bool Request(Key key, std::uint32_t size) override;
  void Evict();
  void EvictFromSmall();
  void EvictFromMain();

  KeyQueue small_;
  KeyQueue main_;
  KeyQueue ghosts_;
  KeyTable<std::uint8_t> hits_;
};

}  // namespace larder::bench
