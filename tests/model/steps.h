// Steps: what the replaced headers of slab/sync/ tell the checker.
#pragma once

#include <type_traits>

namespace larder::model {

// Where in the sources a step is made.
struct Site {
  const char* file;
  int line;
};

enum class Access : unsigned char { kRead, kWrite };

// True while the threads of a scenario run.
bool IsExploring();
// The calling thread is about to access a place that other threads may access, too. Other threads
// may run before this returns.
void BeforeAccess(const void* place, Access access, const Site& site);
// The place has a new value: threads that wait for one go on.
void Wrote(const void* place);
// The calling thread waits until another one writes to the place.
void WaitFor(const void* place);
// The calling thread waits until another one writes to the place that this thread accessed last.
void WaitForLast();
// The calling thread waits until another one has written to any place since the last such call.
void WaitForAny();

// How many conditions are being evaluated whose accesses are no steps.
inline unsigned silences = 0;
constexpr void BeginSilence() {
  if (!std::is_constant_evaluated()) ++silences;
}
constexpr void EndSilence() {
  if (!std::is_constant_evaluated()) --silences;
}

// A condition of the sources does not hold: the execution fails.
[[noreturn]] void Broken(const char* file, int line, const char* condition);

}  // namespace larder::model
