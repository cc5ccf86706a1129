// WTinyLfu: a small window, and admission by frequency to the rest.
#pragma once

#include "tests/bench/policies/frequency_sketch.h"
#include "tests/bench/policies/policy.h"
#include "tests/bench/random.h"

namespace larder::bench {

// Whether the window of a WTinyLfu keeps its size.
enum class Window : std::uint8_t { kFixed, kClimbing };

// New keys come to a window in the order of last use. Those that leave it compete with the oldest
// key on probation: the one that was used more often stays. A hit on probation brings a key into
// the protected part, 80% of what is not window. The window has 1% at first; if it climbs, it goes
// on in a direction as long as there are more hits than before.
//
// Threads: one worker.
// Source:  as FrequencySketch; the window that climbs: Einziger et al., "Adaptive Software Cache
//          Management", Middleware 2018. The parameters are those of the library Caffeine.
class WTinyLfu final : public Policy {
 public:
  // `keys`: about so many fit.
  WTinyLfu(std::uint64_t capacity, std::uint64_t keys, Window window);
  std::uint64_t used() const override {
    return window_.total() + probation_.total() + protected_.total();
  }
  std::uint64_t window_max() const { return window_max_; }

 private:
  static constexpr std::uint64_t kWindowDivisor = 100;
  static constexpr double kProtectedShare = 0.8;
  // A key with so many uses that loses still stays once in 128 times.
  static constexpr std::uint32_t kLuckyCount = 6;
  static constexpr double kStepShare = 0.0625;
  static constexpr double kStepDecay = 0.98;
  // A change of the hit ratio by so much starts with a long step again.
  static constexpr double kRestartChange = 0.05;

  bool Request(Key key, std::uint32_t size) override;
  bool Hit(Key key);
  void TrimWindow();
  void TrimProtected();
  void EvictLosers(std::uint64_t candidates);
  bool IsAdmitted(Key candidate, Key victim);
  // Counts a request, and moves the window if it is time.
  void CountRequest();
  void MoveWindow(std::int64_t step);

  const Window mode_;
  const std::uint64_t period_;  // Requests between two steps of the window.
  std::uint64_t window_max_;
  std::uint64_t protected_max_;
  KeyQueue window_;
  KeyQueue probation_;
  KeyQueue protected_;
  FrequencySketch sketch_;
  Random random_{1};
  std::uint64_t requests_ = 0;
  std::uint64_t hits_ = 0;
  double ratio_before_ = 0.0;
  double step_;
};

}  // namespace larder::bench
