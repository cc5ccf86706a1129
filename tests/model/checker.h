// Checker: runs a few threads in every order that matters, and says in which order they fail.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace larder::model {

// Scenario is what a few threads do to one state.
//
// Threads:    one: its threads are fibers, of which one runs at a time.
class Scenario {
 public:
  virtual ~Scenario() = default;
  // What each thread does in an execution. Each execution begins with the state that the
  // constructor has left.
  virtual std::vector<std::function<void()>> Threads() = 0;
  // Checks the state with Require when all threads are done.
  virtual void Check() = 0;
};

// How far an exploration goes.
struct Limits {
  // Preemptions in one execution: switches away from a thread that could have gone on.
  unsigned preemptions = 2;
  // Executions after which the exploration is given up.
  std::uint64_t executions_max = 1'000'000;
};

// What an exploration has found.
struct Outcome {
  // Executions of the last round, which knew all places that matter.
  std::uint64_t executions = 0;
  // Steps of the longest execution: accesses to what several threads use and one of them writes.
  std::uint64_t steps_max = 0;
  // All executions within the limits were run, and none has failed.
  bool is_finished = false;
  // An execution has failed: what was wrong, and the steps that led there.
  bool has_failed = false;
  std::string report;
};

// Explores all executions of a scenario with at most `limits.preemptions` preemptions.
//
// An execution can be left only where a thread is about to access an atomic or a mutex, and there
// only if several threads access it and one of them writes; which these are is found out in rounds,
// until a round finds no more. Memory is sequentially consistent: what weaker orders would allow is
// not explored.
//
// Each choice is made by a copy of the process (fork), so that executions share their beginnings
// and nothing has to be undone. An abort or a signal of a copy is a failure of its execution.
//
// Source: M. Musuvathi, S. Qadeer, "Iterative context bounding for systematic testing of
// multithreaded programs", PLDI 2007.
//
// Threads:    one thread, in a process that has no other at the moment.
Outcome Explore(const std::function<std::unique_ptr<Scenario>()>& make, const Limits& limits);

// The execution fails if the condition does not hold. For scenarios.
void Require(bool condition, const std::string& what);
// The execution fails.
[[noreturn]] void Fail(const std::string& what);
// A place between two steps where a thread can be left although it accesses nothing.
void Pass(const char* file = __builtin_FILE(), int line = __builtin_LINE());
// Counts up whenever a thread calls it: to say which of two events came first. It is no step.
std::uint64_t Tick();

}  // namespace larder::model
