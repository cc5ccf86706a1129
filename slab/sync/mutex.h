// std::mutex as clang's thread-safety analysis sees it, and the annotations. With g++ they are
// empty.
#pragma once

#include <mutex>

#if defined(__clang__)
#define LARDER_ATTRIBUTE(x) __attribute__((x))
#else
#define LARDER_ATTRIBUTE(x)
#endif

#define LARDER_CAPABILITY(x) LARDER_ATTRIBUTE(capability(x))
#define LARDER_SCOPED_CAPABILITY LARDER_ATTRIBUTE(scoped_lockable)
#define LARDER_GUARDED_BY(x) LARDER_ATTRIBUTE(guarded_by(x))
#define LARDER_REQUIRES(...) LARDER_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define LARDER_EXCLUDES(...) LARDER_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define LARDER_ACQUIRE(...) LARDER_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define LARDER_RELEASE(...) LARDER_ATTRIBUTE(release_capability(__VA_ARGS__))
#define LARDER_TRY_ACQUIRE(...) LARDER_ATTRIBUTE(try_acquire_capability(__VA_ARGS__))
#define LARDER_ACQUIRED_AFTER(...) LARDER_ATTRIBUTE(acquired_after(__VA_ARGS__))
#define LARDER_NO_ANALYSIS LARDER_ATTRIBUTE(no_thread_safety_analysis)
#define LARDER_RETURN_CAPABILITY(x) LARDER_ATTRIBUTE(lock_returned(x))
#define LARDER_ASSERT_CAPABILITY(x) LARDER_ATTRIBUTE(assert_capability(x))

namespace larder {

// A std::mutex that clang's analysis can see. What it guards is mostly done in less time than it
// takes to sleep, so who waits tries for a while before he does.
class LARDER_CAPABILITY("mutex") Mutex {
 public:
  void Lock() LARDER_ACQUIRE() {
    if (!mutex_.try_lock()) LockSlowly();
  }
  void Unlock() LARDER_RELEASE() { mutex_.unlock(); }
  [[nodiscard]] bool TryLock() LARDER_TRY_ACQUIRE(true) { return mutex_.try_lock(); }

 private:
  void LockSlowly();

  std::mutex mutex_;
};

// Holds a Mutex for a scope.
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
