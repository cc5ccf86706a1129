#include "tests/bench/policies/arc.h"

#include <algorithm>

namespace larder::bench {

bool Arc::Request(Key key, std::uint32_t size) {
  if (once_.Contains(key)) {
    once_.Remove(key);
    again_.PushFront(key, size);
    return true;
  }
  if (again_.Contains(key)) {
    again_.MoveToFront(key);
    return true;
  }
  if (size > capacity()) return false;
  const Ghost ghost = GhostOf(key);
  if (ghost == Ghost::kNone) {
    TrimDirectory(size);
    MakeRoom(size, ghost);
    once_.PushFront(key, size);
    return false;
  }
  Adapt(size, ghost);
  (ghost == Ghost::kOnce ? once_ghosts_ : again_ghosts_).Remove(key);
  MakeRoom(size, ghost);
  again_.PushFront(key, size);
  return false;
}

Arc::Ghost Arc::GhostOf(Key key) const {
  if (once_ghosts_.Contains(key)) return Ghost::kOnce;
  return again_ghosts_.Contains(key) ? Ghost::kAgain : Ghost::kNone;
}

void Arc::Adapt(std::uint64_t size, Ghost ghost) {
  const bool was_once = ghost == Ghost::kOnce;
  const std::uint64_t own = (was_once ? once_ghosts_ : again_ghosts_).total();
  const std::uint64_t other = (was_once ? again_ghosts_ : once_ghosts_).total();
  const std::uint64_t step = size * std::max<std::uint64_t>(1, other / own);
  if (was_once) {
    once_target_ = std::min(capacity(), once_target_ + step);
  } else {
    once_target_ -= std::min(once_target_, step);
  }
}

void Arc::MakeRoom(std::uint32_t size, Ghost ghost) {
  while (used() + size > capacity()) {
    const bool is_over =
        once_.total() > once_target_ || (ghost == Ghost::kAgain && once_.total() == once_target_);
    const bool from_once = again_.empty() || (is_over && !once_.empty());
    from_once ? MoveOldest(once_, once_ghosts_) : MoveOldest(again_, again_ghosts_);
  }
}

void Arc::TrimDirectory(std::uint32_t size) {
  while (once_.total() + once_ghosts_.total() + size > capacity()) {
    (once_ghosts_.empty() ? once_ : once_ghosts_).PopBack();
  }
  while (used() + once_ghosts_.total() + again_ghosts_.total() + size > 2 * capacity() &&
         !again_ghosts_.empty()) {
    again_ghosts_.PopBack();
  }
}

}  // namespace larder::bench
