// The annotations of clang's thread-safety analysis: which lock guards what, and which function
// needs which lock. With g++ they are empty.
#pragma once

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
