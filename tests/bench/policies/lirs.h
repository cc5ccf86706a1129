// Lirs: keeps what was used twice in a short time.
#pragma once

#include "tests/bench/policies/policy.h"

namespace larder::bench {

// A key is "low" (LIR) if few others were used between its last two uses. Low keys have 99% of the
// capacity. The others (HIR) pass through a small queue, but stay on the stack of last uses for
// some time; one that is used again while it is there becomes low, in the place of the low key that
// was used longest ago.
//
//   stack   front |last used| ... |low key| back      low keys, others, and ghosts of these
//   queue   front |newest| ... |oldest| back          the others that are in the cache
//
// Threads: one worker.
// Source:  Jiang and Zhang, "LIRS: An Efficient Low Inter-reference Recency Set Replacement
// Policy",
//          SIGMETRICS 2002. The paper does not bound the ghosts; here they are twice the capacity.
class Lirs final : public Policy {
 public:
  using Policy::Policy;
  std::uint64_t used() const override { return low_total_ + queue_.total(); }

 private:
  static constexpr std::uint64_t kQueueDivisor = 100;
  static constexpr std::uint64_t kGhostsFactor = 2;

  bool Request(Key key, std::uint32_t size) override;
  std::uint64_t low_max() const;
  void HitQueued(Key key, std::uint32_t size);
  void Insert(Key key, std::uint32_t size);
  // Makes a key low, which is in no queue, and others high in its place.
  void MakeLow(Key key, std::uint32_t size);
  // Puts the key on the top of the stack, wherever it was.
  void Stack(Key key, std::uint32_t size);
  void DemoteOldestLow();
  void EvictFromQueue();
  // Takes what is not low from the bottom of the stack.
  void Prune();

  KeyQueue stack_;
  KeyQueue queue_;
  KeyQueue ghosts_;  // All are on the stack. In the order of their eviction.
  KeyTable<std::uint8_t> is_low_;
  std::uint64_t low_total_ = 0;
};

}  // namespace larder::bench
