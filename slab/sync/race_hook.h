// Where tests step into a race that they could only hope for otherwise.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

namespace larder::slab {

// Places between two looks at an item, where its bucket is not locked: another client may do
// anything there.
enum class RacePoint : std::uint8_t {
  kJoin,       // Cache::Publish with kAppend or kPrepend: the joined value is not linked yet.
  kAddRoom,    // Cache::AddRoom: likewise the item in its larger chunk.
  kStoreSeen,  // A store of kUnchanged: the item was seen, and is not replaced yet.
};

// RaceHook calls what a test has set, at every RacePoint. Without a test that is a load and a
// branch, and there is no such point on the way of a get or a set.
//
// Threads: Set: one, while no other comes to a RacePoint; Reach: any thread, at the same time too.
class RaceHook {
 public:
  using Hook = std::function<void(RacePoint)>;

  // nullptr: none. Otherwise it must live until the next call.
  static void Set(const Hook* hook) { hook_.store(hook, std::memory_order_release); }

  static void Reach(RacePoint point) {
    const Hook* const hook = hook_.load(std::memory_order_acquire);
    if (hook != nullptr) [[unlikely]]
      (*hook)(point);
  }

 private:
  inline static std::atomic<const Hook*> hook_{nullptr};
};

}  // namespace larder::slab
