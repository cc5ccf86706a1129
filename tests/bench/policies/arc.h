// Arc: recency and frequency, balanced by ghosts.
#pragma once

#include "tests/bench/policies/policy.h"

namespace larder::bench {

// Keys that were used once lie in one queue, those that were used again in another, both in the
// order of last use. Each has ghosts of what it evicted; one that comes back moves the share of the
// first queue.
//
// Threads: one worker.
// Source:  Megiddo and Modha, "ARC: A Self-Tuning, Low Overhead Replacement Cache", FAST 2003. With
//          sizes, shares and ghosts count these instead of keys.
class Arc final : public Policy {
 public:
  using Policy::Policy;
  std::uint64_t used() const override { return once_.total() + again_.total(); }
  // The share of the keys that were used once, as a size: the paper's p.
  std::uint64_t once_target() const { return once_target_; }

 private:
  // Which queue a key was evicted from lately.
  enum class Ghost : std::uint8_t { kNone, kOnce, kAgain };

  bool Request(Key key, std::uint32_t size) override;
  Ghost GhostOf(Key key) const;
  // Moves the share by what a ghost of this size says.
  void Adapt(std::uint64_t size, Ghost ghost);
  // Evicts until a value of this size fits, whose key has this ghost. If the first queue has just
  // its share, it gives room to a ghost of the second.
  void MakeRoom(std::uint32_t size, Ghost ghost);
  // Forgets ghosts, so that a new key has room in the directory.
  void TrimDirectory(std::uint32_t size);

  KeyQueue once_;          // T1
  KeyQueue again_;         // T2
  KeyQueue once_ghosts_;   // B1
  KeyQueue again_ghosts_;  // B2
  std::uint64_t once_target_ = 0;
};

}  // namespace larder::bench
