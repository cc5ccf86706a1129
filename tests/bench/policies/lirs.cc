#include "tests/bench/policies/lirs.h"

#include <algorithm>

namespace larder::bench {

bool Lirs::Request(Key key, std::uint32_t size) {
  if (is_low_[key] != 0) {
    stack_.MoveToFront(key);
    Prune();
    return true;
  }
  const bool is_hit = queue_.Contains(key);
  if (is_hit) {
    HitQueued(key, size);
  } else if (size <= capacity()) {
    Insert(key, size);
  }
  Prune();
  return is_hit;
}

std::uint64_t Lirs::low_max() const {
  return capacity() - std::max<std::uint64_t>(1, capacity() / kQueueDivisor);
}

void Lirs::HitQueued(Key key, std::uint32_t size) {
  if (!stack_.Contains(key)) {
    stack_.PushFront(key, size);
    queue_.MoveToFront(key);
    return;
  }
  queue_.Remove(key);
  MakeLow(key, size);
}

void Lirs::Insert(Key key, std::uint32_t size) {
  while (used() + size > capacity()) {
    if (queue_.empty()) DemoteOldestLow();
    EvictFromQueue();
  }
  // Until there are enough low keys, all are. The ghost may have been forgotten just now.
  const bool is_ghost = ghosts_.Contains(key);
  if (is_ghost) ghosts_.Remove(key);
  if (is_ghost || low_total_ + size <= low_max()) return MakeLow(key, size);
  Stack(key, size);
  queue_.PushFront(key, size);
}

void Lirs::MakeLow(Key key, std::uint32_t size) {
  Stack(key, size);
  is_low_[key] = 1;
  low_total_ += size;
  while (low_total_ > low_max()) DemoteOldestLow();
}

void Lirs::Stack(Key key, std::uint32_t size) {
  if (stack_.Contains(key)) stack_.Remove(key);
  stack_.PushFront(key, size);
}

void Lirs::DemoteOldestLow() {
  const Key oldest = stack_.back();
  LARDER_ASSERT(is_low_[oldest] != 0);
  is_low_[oldest] = 0;
  low_total_ -= stack_.SizeOf(oldest);
  queue_.PushFront(oldest, stack_.SizeOf(oldest));
  stack_.Remove(oldest);
  Prune();
}

void Lirs::EvictFromQueue() {
  const Key victim = queue_.back();
  const std::uint32_t size = queue_.SizeOf(victim);
  queue_.Remove(victim);
  if (!stack_.Contains(victim)) return;
  ghosts_.PushFront(victim, size);
  while (ghosts_.total() > kGhostsFactor * capacity()) stack_.Remove(ghosts_.PopBack());
}

void Lirs::Prune() {
  while (!stack_.empty() && is_low_[stack_.back()] == 0) {
    const Key key = stack_.PopBack();
    if (ghosts_.Contains(key)) ghosts_.Remove(key);
  }
}

}  // namespace larder::bench
