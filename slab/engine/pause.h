// Where tests hold a thread up, to force a schedule.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

namespace larder::slab {

enum class Moment : std::uint8_t {
  kListed,      // A walk has listed its items, and locked no bucket yet.
  kPageChosen,  // A page is to be emptied. No bucket or class is locked.
  kItemSeen,    // A page move has looked up the key of an item, and locked nothing.
  kBatchTaken,  // A lane has items in its magazine that are to leave. Only a bucket is locked.
  kSpared,      // It has taken one of them out, which stays. Its bucket is locked too.
  kNoStock,     // A lane found nothing in its magazine, though it had refilled it.
};

// Pause calls what a test has set, at these moments, with what is locked.
//
// Threads: immutable; what it calls must be safe for any thread.
class Pause {
 public:
  explicit Pause(std::function<void(Moment)> hook) : hook_(std::move(hook)) {}

  void At(Moment moment) const {
    if (hook_) [[unlikely]]
      hook_(moment);
  }

 private:
  const std::function<void(Moment)> hook_;  // Mostly empty.
};

}  // namespace larder::slab
