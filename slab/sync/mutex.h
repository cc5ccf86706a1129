// Mutex and MutexLock: std::mutex with the annotations of clang's thread-safety analysis. With g++
// the annotations are empty.
#pragma once

#include <mutex>

#if defined(__clang__)
#define LARDER_ATTRIBUTE(x) __attribute__((x))
#else
#define LARDER_ATTRIBUTE(x)
#endif

// A type that can be held, such as a mutex.
#define LARDER_CAPABILITY(x) LARDER_ATTRIBUTE(capability(x))
// A type whose objects hold a capability while they live.
#define LARDER_SCOPED_CAPABILITY LARDER_ATTRIBUTE(scoped_lockable)
// The data may be used only by a thread that holds x.
#define LARDER_GUARDED_BY(x) LARDER_ATTRIBUTE(guarded_by(x))
// The function may be called only by a thread that holds these capabilities.
#define LARDER_REQUIRES(...) LARDER_ATTRIBUTE(requires_capability(__VA_ARGS__))
// The function may be called only by a thread that does not hold them.
#define LARDER_EXCLUDES(...) LARDER_ATTRIBUTE(locks_excluded(__VA_ARGS__))
// The function takes, or gives up, or tries to take a capability.
#define LARDER_ACQUIRE(...) LARDER_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define LARDER_RELEASE(...) LARDER_ATTRIBUTE(release_capability(__VA_ARGS__))
#define LARDER_TRY_ACQUIRE(...) LARDER_ATTRIBUTE(try_acquire_capability(__VA_ARGS__))
// The analysis does not look at the function. A comment has to say why that is safe.
#define LARDER_NO_ANALYSIS LARDER_ATTRIBUTE(no_thread_safety_analysis)
// The function returns a reference to this capability.
#define LARDER_RETURN_CAPABILITY(x) LARDER_ATTRIBUTE(lock_returned(x))
// The function checks that the caller holds the capability; from there on the analysis assumes it.
#define LARDER_ASSERT_CAPABILITY(x) LARDER_ATTRIBUTE(assert_capability(x))

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
