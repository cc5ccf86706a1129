#include "tests/bench/policies/s3_fifo.h"

#include <algorithm>

namespace larder::bench {

bool S3Fifo::Request(Key key, std::uint32_t size) {
  if (small_.Contains(key) || main_.Contains(key)) {
    hits_[key] = std::min<std::uint8_t>(kHitsMax, hits_[key] + 1);
    return true;
  }
  if (size > capacity()) return false;
  while (used() + size > capacity()) Evict();
  hits_[key] = 0;
  if (ghosts_.Contains(key)) {
    ghosts_.Remove(key);
    main_.PushFront(key, size);
  } else {
    small_.PushFront(key, size);
  }
  return false;
}

void S3Fifo::Evict() {
  const bool is_small_full = small_.total() * kSmallDivisor >= capacity();
  if (main_.empty() || (is_small_full && !small_.empty())) {
    EvictFromSmall();
  } else {
    EvictFromMain();
  }
}

// Evicts at most one key; the others move to main.
void S3Fifo::EvictFromSmall() {
  while (!small_.empty()) {
    if (hits_[small_.back()] >= kHitsForMain) {
      hits_[MoveOldest(small_, main_)] = 0;
      continue;
    }
    MoveOldest(small_, ghosts_);
    while (ghosts_.total() > std::max(main_.total(), capacity() - capacity() / kSmallDivisor)) {
      ghosts_.PopBack();
    }
    return;
  }
}

void S3Fifo::EvictFromMain() {
  for (;;) {
    const Key oldest = main_.back();
    if (hits_[oldest] == 0) break;
    --hits_[oldest];
    main_.MoveToFront(oldest);
  }
  main_.PopBack();
}

}  // namespace larder::bench
