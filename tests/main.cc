// The one translation unit that compiles Catch2 and its main().
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>

// libsasl2 keeps a block of 8 KB that it has read its configuration with, once a process.
extern "C" const char* __lsan_default_suppressions();  // NOLINT: the sanitizer's name.
extern "C" const char* __lsan_default_suppressions() { return "leak:libsasl2\n"; }
