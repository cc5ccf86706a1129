// RaceHook: lets a test act in the middle of a race that would otherwise happen only by chance.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

namespace larder::slab {

// Places between two looks at one item where the item's bucket is not locked, so that other threads
// may change the item.
enum class RacePoint : std::uint8_t {
  // Cache::Publish with kAppend or kPrepend: the joined value is made and not linked yet.
  kJoin,
  // Cache::AddRoom: the item is copied to its larger chunk, which is not linked yet.
  kAddRoom,
  // A store of kUnchanged: the old item was read and is not replaced yet.
  kStoreSeen,
};

// RaceHook calls a function that a test has set whenever a thread comes to a RacePoint. Without a
// test this costs a load and a branch, and neither a get nor a plain set has such a point.
//
// Threads:    Set: one thread, while no other comes to a RacePoint. Reach: any thread; several may
//             call the function at the same time.
class RaceHook {
 public:
  using Hook = std::function<void(RacePoint)>;

  // Sets the function; nullptr for none. It must live until the next call of Set.
  static void Set(const Hook* hook) { hook_.store(hook, std::memory_order_release); }

  // Calls the function, if a test has set one.
  static void Reach(RacePoint point) {
    const Hook* const hook = hook_.load(std::memory_order_acquire);
    if (hook != nullptr) [[unlikely]]
      (*hook)(point);
  }

 private:
  inline static std::atomic<const Hook*> hook_{nullptr};
};

}  // namespace larder::slab
