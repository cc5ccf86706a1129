// Scheduler: runs the threads of a scenario as fibers, and chooses which of them makes the next
// step.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/model/shared.h"
#include "tests/model/steps.h"

namespace larder::model {

// Scheduler is one execution. Where there is a choice the process is copied, see Choose, so that
// one object runs all executions.
//
// Threads:    one thread, which changes from fiber to fiber.
// Owns:       the fibers. `shared` must outlive it.
class Scheduler {
 public:
  Scheduler(Shared& shared, std::vector<std::function<void()>> threads, unsigned preemptions);

  // Runs the threads to their ends. Returns once for each execution, each time in another copy of
  // the process.
  void Run();

  // See steps.h and checker.h.
  void BeforeAccess(const void* place, Access access, const Site& site);
  void Wrote(const void* place);
  void WaitFor(const void* place);
  void WaitForLast() { WaitFor(fibers_[running_].last); }
  void WaitForAny();
  void Pass(const Site& site);
  std::uint64_t Tick() { return ++ticks_; }
  // True while a fiber runs.
  bool is_running() const { return is_running_; }
  [[noreturn]] void Fail(const std::string& what) const;

  std::uint64_t steps() const { return steps_.size(); }

 private:
  enum class State : std::uint8_t { kReady, kWaiting, kDone };
  struct Fiber {
    std::function<void()> body;
    std::unique_ptr<std::byte[]> stack;
    ucontext_t context{};
    State state = State::kReady;
    // What it waits for, if it does; nullptr: any place.
    const void* awaited = nullptr;
    // What it has accessed last.
    const void* last = nullptr;
    // Its writes, and those of others before its last WaitForAny.
    std::uint64_t own_writes = 0;
    std::uint64_t seen_writes = 0;
  };
  // A step for the report.
  struct Step {
    unsigned thread;
    const char* what;
    const void* place;
    Site site;
  };

  // Where fibers begin.
  static void Begin();
  // The threads that can run, without the running one.
  std::vector<unsigned> OthersReady() const;
  // Lets another thread run first, if it is still allowed to.
  void MayPreempt();
  // Lets one of the threads run that can. The running one cannot go on.
  void Next();
  void SwitchTo(unsigned thread);
  void AddStep(const char* what, const void* place, const Site& site);

  Shared& shared_;
  unsigned preemptions_left_;
  std::vector<Fiber> fibers_;
  ucontext_t main_{};
  unsigned running_ = 0;
  bool is_running_ = false;
  // The running thread has made a step since it was chosen.
  bool has_stepped_ = false;
  std::vector<Step> steps_;
  std::uint64_t accesses_ = 0;
  std::uint64_t writes_ = 0;
  std::uint64_t ticks_ = 0;
};

// The scheduler of this process; nullptr: none.
Scheduler*& CurrentScheduler();

}  // namespace larder::model
