// In place of slab/sync/mutex.h: a mutex whose waiting the checker sees.
#pragma once

#include "slab/sync/annotations.h"
#include "tests/model/steps.h"

namespace larder {

// Mutex is what slab/sync/mutex.h calls so.
//
// Threads:    fibers of one exploration, of which one runs at a time.
class LARDER_CAPABILITY("mutex") Mutex {
 public:
  void Lock(const char* file = __builtin_FILE(), int line = __builtin_LINE()) LARDER_ACQUIRE() {
    while (!TryLock(file, line)) model::WaitFor(this);
  }
  void Unlock() LARDER_RELEASE() {
    if (!is_held_) return;
    is_held_ = false;
    model::Wrote(this);
  }
  [[nodiscard]] bool TryLock(const char* file = __builtin_FILE(), int line = __builtin_LINE())
      LARDER_TRY_ACQUIRE(true) {
    model::BeforeAccess(this, model::Access::kWrite, {file, line});
    if (is_held_) return false;
    // Not outside of the threads: a copy of the process copies what it writes to.
    is_held_ = model::IsExploring();
    return true;
  }

 private:
  bool is_held_ = false;
};

// MutexLock is what slab/sync/mutex.h calls so.
//
// Threads:    one thread.
class LARDER_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex, const char* file = __builtin_FILE(), int line = __builtin_LINE())
      LARDER_ACQUIRE(mutex)
      : mutex_(mutex) {
    mutex_.Lock(file, line);
  }
  ~MutexLock() LARDER_RELEASE() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

}  // namespace larder
