// Which sanitizer the tests are built with, if any: g++ and clang say so in different ways.
#pragma once

#if defined(__has_feature)
#define LARDER_HAS_FEATURE(name) __has_feature(name)
#else
#define LARDER_HAS_FEATURE(name) 0
#endif

namespace larder {

#if defined(__SANITIZE_ADDRESS__) || LARDER_HAS_FEATURE(address_sanitizer)
inline constexpr bool kHasAddressSanitizer = true;
#else
inline constexpr bool kHasAddressSanitizer = false;
#endif

#if defined(__SANITIZE_THREAD__) || LARDER_HAS_FEATURE(thread_sanitizer)
inline constexpr bool kHasThreadSanitizer = true;
#else
inline constexpr bool kHasThreadSanitizer = false;
#endif

}  // namespace larder

#undef LARDER_HAS_FEATURE
