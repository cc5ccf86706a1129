// KeyQueue and KeyTable: what the models of caches are made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "slab/check.h"

namespace larder::bench {

// Keys are small numbers, so tables are indexed by them.
using Key = std::uint32_t;
inline constexpr Key kNoKey = std::numeric_limits<Key>::max();

// KeyTable has a T for each key, at first T().
//
// Threads: one worker.
template <class T>
class KeyTable {
 public:
  // Valid until another key is asked for.
  T& operator[](Key key) {
    if (key >= entries_.size()) entries_.resize(std::size_t{key} + key / 2 + 1);
    return entries_[key];
  }

 private:
  std::vector<T> entries_;
};

// KeyQueue is a doubly linked list of keys and their sizes.
//
//   front |newest| <-> ... <-> |oldest| back
//
// Threads:    one worker.
// Invariants: a key is in the queue once, or not at all.
class KeyQueue {
 public:
  bool Contains(Key key) const { return key < links_.size() && links_[key].size != 0; }
  bool empty() const { return front_ == kNoKey; }
  std::uint64_t count() const { return count_; }
  // The sum of the sizes.
  std::uint64_t total() const { return total_; }
  // kNoKey if the queue is empty.
  Key front() const { return front_; }
  Key back() const { return back_; }
  // The next key towards the front; kNoKey at the front. REQUIRES: Contains(key).
  Key Ahead(Key key) const { return links_[key].ahead; }
  // REQUIRES: Contains(key).
  std::uint32_t SizeOf(Key key) const { return links_[key].size; }

  // REQUIRES: !Contains(key), size > 0.
  void PushFront(Key key, std::uint32_t size);
  // REQUIRES: Contains(key).
  void Remove(Key key);
  // REQUIRES: Contains(key).
  void MoveToFront(Key key) {
    const std::uint32_t size = SizeOf(key);
    Remove(key);
    PushFront(key, size);
  }
  // Takes the oldest key out. REQUIRES: !empty().
  Key PopBack() {
    const Key key = back_;
    Remove(key);
    return key;
  }

 private:
  struct Link {
    Key ahead = kNoKey;
    Key behind = kNoKey;
    std::uint32_t size = 0;  // 0: not in the queue.
  };

  std::vector<Link> links_;
  Key front_ = kNoKey;
  Key back_ = kNoKey;
  std::uint64_t count_ = 0;
  std::uint64_t total_ = 0;
};

inline void KeyQueue::PushFront(Key key, std::uint32_t size) {
  LARDER_ASSERT(!Contains(key) && size > 0);
  if (key >= links_.size()) links_.resize(std::size_t{key} + key / 2 + 1);
  links_[key] = {.ahead = kNoKey, .behind = front_, .size = size};
  (front_ != kNoKey ? links_[front_].ahead : back_) = key;
  front_ = key;
  ++count_;
  total_ += size;
}

inline void KeyQueue::Remove(Key key) {
  LARDER_ASSERT(Contains(key));
  Link& link = links_[key];
  (link.ahead != kNoKey ? links_[link.ahead].behind : front_) = link.behind;
  (link.behind != kNoKey ? links_[link.behind].ahead : back_) = link.ahead;
  --count_;
  total_ -= link.size;
  link = {};
}

// Takes the oldest key out of one queue and puts it at the front of another; returns it. REQUIRES:
// !from.empty().
inline Key MoveOldest(KeyQueue& from, KeyQueue& to) {
  const Key key = from.back();
  const std::uint32_t size = from.SizeOf(key);
  from.Remove(key);
  to.PushFront(key, size);
  return key;
}

}  // namespace larder::bench
