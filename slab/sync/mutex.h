// Mutex and MutexLock: std::mutex with the annotations of clang's thread-safety analysis.
#pragma once

#include <mutex>

#include "slab/sync/annotations.h"

namespace larder {

// Mutex is a std::mutex that clang's analysis can see. Most critical sections take less time than
// putting a thread to sleep, so a thread that waits for the mutex tries for some microseconds
// before it sleeps.
//
// Threads:    internally locked.
class LARDER_CAPABILITY("mutex") Mutex {
 public:
  void Lock() LARDER_ACQUIRE() {
    if (!mutex_.try_lock()) LockSlowly();
  }
  void Unlock() LARDER_RELEASE() { mutex_.unlock(); }
  // Returns true if the caller now holds the mutex; never waits.
  [[nodiscard]] bool TryLock() LARDER_TRY_ACQUIRE(true) { return mutex_.try_lock(); }

 private:
  // Lock() when another thread holds the mutex.
  void LockSlowly();

  std::mutex mutex_;
};

// MutexLock holds a Mutex for a scope.
//
// Threads:    one worker.
class LARDER_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) LARDER_ACQUIRE(mutex) : mutex_(mutex) { mutex_.Lock(); }
  ~MutexLock() LARDER_RELEASE() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

}  // namespace larder
