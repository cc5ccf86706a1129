// Pause: lets a test stop a thread at a certain moment, to force an order of events.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

namespace larder::slab {

// The moments at which a test can stop a thread.
enum class Moment : std::uint8_t {
  // A walk has listed its items, and has locked no bucket yet.
  kListed,
  // A page was chosen to be emptied. No bucket and no class is locked.
  kPageChosen,
  // A page move has copied the key of an item. No bucket and no class is locked.
  kItemSeen,
  // A lane has items in its magazine that are to be evicted. Only a bucket is locked.
  kBatchTaken,
  // A lane has taken such an item out of its magazine, and the item stays. Its bucket is locked
  // too.
  kSpared,
  // A lane found nothing in its magazine although it had refilled it.
  kNoStock,
};

// Pause calls a function that a test has set at these moments, with the locks that are held then.
//
// Threads:    immutable; any thread may call the function.
class Pause {
 public:
  explicit Pause(std::function<void(Moment)> hook) : hook_(std::move(hook)) {}

  // Calls the function, if there is one.
  void At(Moment moment) const {
    if (hook_) [[unlikely]]
      hook_(moment);
  }

 private:
  // Empty outside of tests.
  const std::function<void(Moment)> hook_;
};

}  // namespace larder::slab
