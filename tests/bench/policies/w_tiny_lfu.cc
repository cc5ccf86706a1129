#include "tests/bench/policies/w_tiny_lfu.h"

#include <algorithm>
#include <cmath>

namespace larder::bench {

WTinyLfu::WTinyLfu(std::uint64_t capacity, std::uint64_t keys, Window window)
    : Policy(capacity),
      mode_(window),
      period_(10 * std::max<std::uint64_t>(1, keys)),
      window_max_(std::max<std::uint64_t>(1, capacity / kWindowDivisor)),
      protected_max_(static_cast<std::uint64_t>(static_cast<double>(capacity - window_max_) *
                                                kProtectedShare)),
      sketch_(keys),
      step_(kStepShare * static_cast<double>(capacity)) {}

bool WTinyLfu::Request(Key key, std::uint32_t size) {
  sketch_.Add(key);
  const bool is_hit = Hit(key);
  if (!is_hit && size <= capacity()) {
    window_.PushFront(key, size);
    TrimWindow();
  }
  hits_ += is_hit ? 1 : 0;
  CountRequest();
  return is_hit;
}

bool WTinyLfu::Hit(Key key) {
  if (window_.Contains(key)) {
    window_.MoveToFront(key);
  } else if (protected_.Contains(key)) {
    protected_.MoveToFront(key);
  } else if (probation_.Contains(key)) {
    protected_.PushFront(key, probation_.SizeOf(key));
    probation_.Remove(key);
    TrimProtected();
  } else {
    return false;
  }
  return true;
}

void WTinyLfu::TrimWindow() {
  std::uint64_t candidates = 0;
  for (; window_.total() > window_max_; ++candidates) MoveOldest(window_, probation_);
  EvictLosers(candidates);
}

void WTinyLfu::TrimProtected() {
  while (protected_.total() > protected_max_) MoveOldest(protected_, probation_);
}

// The newest `candidates` keys on probation have just left the window.
void WTinyLfu::EvictLosers(std::uint64_t candidates) {
  while (used() > capacity()) {
    const Key candidate = candidates != 0 ? probation_.front() : kNoKey;
    KeyQueue& victims = probation_.count() > candidates ? probation_
                        : protected_.empty()            ? window_
                                                        : protected_;
    const Key victim = victims.back();
    if (candidate == kNoKey || (victim != kNoKey && IsAdmitted(candidate, victim))) {
      LARDER_ASSERT(victim != kNoKey);
      victims.Remove(victim);
      continue;
    }
    probation_.Remove(candidate);
    --candidates;
  }
}

bool WTinyLfu::IsAdmitted(Key candidate, Key victim) {
  const std::uint32_t uses = sketch_.CountOf(candidate);
  if (uses > sketch_.CountOf(victim)) return true;
  return uses >= kLuckyCount && random_.Below(128) == 0;
}

void WTinyLfu::CountRequest() {
  if (mode_ == Window::kFixed) return;
  if (++requests_ < period_) return;
  const double ratio = static_cast<double>(hits_) / static_cast<double>(requests_);
  const double change = ratio - ratio_before_;
  const double step = change >= 0 ? step_ : -step_;
  const double first_step = kStepShare * static_cast<double>(capacity());
  step_ = std::abs(change) >= kRestartChange ? std::copysign(first_step, step) : step * kStepDecay;
  ratio_before_ = ratio;
  requests_ = hits_ = 0;
  MoveWindow(std::llround(step));
}

// The window grows or shrinks at the expense, or in favour, of the protected part.
void WTinyLfu::MoveWindow(std::int64_t step) {
  const auto wanted = static_cast<std::int64_t>(window_max_) + step;
  const auto most = static_cast<std::int64_t>(window_max_ + protected_max_);
  const std::uint64_t before = window_max_;
  window_max_ = static_cast<std::uint64_t>(std::clamp<std::int64_t>(wanted, 1, most));
  protected_max_ = protected_max_ + before - window_max_;
  TrimProtected();
  while (window_.total() < window_max_ && !probation_.empty()) MoveOldest(probation_, window_);
  while (window_.total() > window_max_) MoveOldest(window_, probation_);
}

}  // namespace larder::bench
