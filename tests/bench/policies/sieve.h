// Sieve: a queue in which nothing moves, and a hand that passes over what was hit.
#pragma once

#include "tests/bench/policies/policy.h"

namespace larder::bench {

// The hand walks from the oldest key to the newest, takes the mark off those that were hit, and
// evicts the first without a mark. It goes on from there the next time.
//
// Threads: one worker.
// Source:  Zhang et al., "SIEVE is Simpler than LRU", NSDI 2024.
class Sieve final : public Policy {
 public:
  using Policy::Policy;
  std::uint64_t used() const override { return queue_.total(); }

 private:
  bool Request(Key key, std::uint32_t size) override {
    if (queue_.Contains(key)) {
      is_hit_[key] = true;
      return true;
    }
    if (size > capacity()) return false;
    while (used() + size > capacity()) Evict();
    queue_.PushFront(key, size);
    is_hit_[key] = false;
    return false;
  }

  void Evict() {
    if (hand_ == kNoKey) hand_ = queue_.back();
    while (is_hit_[hand_] != 0) {
      is_hit_[hand_] = 0;
      hand_ = queue_.Ahead(hand_);
      if (hand_ == kNoKey) hand_ = queue_.back();
    }
    const Key victim = hand_;
    hand_ = queue_.Ahead(victim);
    queue_.Remove(victim);
  }

  KeyQueue queue_;
  KeyTable<std::uint8_t> is_hit_;
  Key hand_ = kNoKey;  // kNoKey: at the back.
};

}  // namespace larder::bench
