// Policy: what a model of a cache answers to a request.
#pragma once

#include <cstdint>

#include "tests/bench/policies/key_queue.h"

namespace larder::bench {

// Policy is a cache of keys without values, which decides whom it evicts. A request is a get, and a
// set of what it misses. Sizes are in any one unit: bytes, or items of size 1.
//
// Threads:    one worker.
// Invariants: used() is at most the capacity after each request.
class Policy {
 public:
  // REQUIRES: capacity > 0.
  explicit Policy(std::uint64_t capacity) : capacity_(capacity) {}
  virtual ~Policy() = default;
  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;

  // Requests a key with a value of this size; true for a hit. What is larger than the cache is
  // never kept. REQUIRES: a key has one size at all times; size > 0.
  bool Access(Key key, std::uint32_t size) { return Request(key, size); }
  // The size of all that is kept.
  virtual std::uint64_t used() const = 0;
  std::uint64_t capacity() const { return capacity_; }

 private:
  virtual bool Request(Key key, std::uint32_t size) = 0;

  const std::uint64_t capacity_;
};

}  // namespace larder::bench
