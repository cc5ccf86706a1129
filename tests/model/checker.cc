#include "tests/model/checker.h"

#include <signal.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cstring>

#include "tests/model/processes.h"
#include "tests/model/scheduler.h"
#include "tests/model/shared.h"
#include "tests/model/steps.h"

namespace larder::model {
namespace {

// The scheduler, if one of its fibers is running and its accesses are to be steps.
Scheduler* Running() { return IsExploring() && silences == 0 ? CurrentScheduler() : nullptr; }

void OnSignal(int number) { Fail(std::string("a signal: ") + strsignal(number)); }

// In the copy that makes the scenario.
void PrepareProcess() {
  for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) signal(number, OnSignal);
  // Not as Catch2 handles them.
  for (const int number : {SIGINT, SIGTERM}) signal(number, SIG_DFL);
  // A copy of a small page takes less time than that of a huge one.
  prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
}

// All executions with this many preemptions at most.
void RunAll(Shared& shared, Scenario& scenario, const Limits& limits) {
  Scheduler scheduler(shared, scenario.Threads(), limits.preemptions);
  CurrentScheduler() = &scheduler;
  scheduler.Run();
  scenario.Check();
  shared.steps_max = std::max(shared.steps_max, scheduler.steps());
  if (++shared.executions >= limits.executions_max) shared.is_given_up = true;
}

// Rounds with ever more preemptions. One is repeated until it has known all places that matter from
// its beginning. The cheap ones find most of them, and the shortest way to a failure.
void RunRounds(Shared& shared, Scenario& scenario, const Limits& limits) {
  Limits now = limits;
  for (now.preemptions = 0; now.preemptions <= limits.preemptions;) {
    shared.executions = 0;
    shared.steps_max = 0;
    shared.new_places = 0;
    RunInCopy(shared, [&] { RunAll(shared, scenario, now); });
    if (shared.has_failed || shared.is_given_up) return;
    if (shared.new_places == 0) ++now.preemptions;
  }
}

}  // namespace

Outcome Explore(const std::function<std::unique_ptr<Scenario>()>& make, const Limits& limits) {
  Shared& shared = MapShared();
  RunInCopy(shared, [&] {
    PrepareProcess();
    // For failures of the scenario's making.
    Scheduler none(shared, {}, 0);
    CurrentScheduler() = &none;
    const std::unique_ptr<Scenario> scenario = make();
    RunRounds(shared, *scenario, limits);
  });
  const Outcome outcome{.executions = shared.executions,
                        .steps_max = shared.steps_max,
                        .is_finished = !shared.is_given_up && !shared.has_failed,
                        .has_failed = shared.has_failed,
                        .report = shared.report.data()};
  UnmapShared(shared);
  return outcome;
}

void Fail(const std::string& what) { CurrentScheduler()->Fail(what); }

void Require(bool condition, const std::string& what) {
  if (!condition) Fail(what);
}

void Pass(const char* file, int line) {
  if (Scheduler* const scheduler = Running()) scheduler->Pass({file, line});
}

std::uint64_t Tick() {
  Scheduler* const scheduler = CurrentScheduler();
  return scheduler->Tick();
}

bool IsExploring() {
  const Scheduler* const scheduler = CurrentScheduler();
  return scheduler != nullptr && scheduler->is_running();
}

void BeforeAccess(const void* place, Access access, const Site& site) {
  if (Scheduler* const scheduler = Running()) scheduler->BeforeAccess(place, access, site);
}

void Wrote(const void* place) {
  if (Scheduler* const scheduler = Running()) scheduler->Wrote(place);
}

void WaitFor(const void* place) {
  Scheduler* const scheduler = Running();
  if (scheduler == nullptr) Fail("a wait outside of the threads");
  scheduler->WaitFor(place);
}

void WaitForLast() {
  Scheduler* const scheduler = Running();
  if (scheduler == nullptr) Fail("a wait outside of the threads");
  scheduler->WaitForLast();
}

void WaitForAny() {
  Scheduler* const scheduler = Running();
  if (scheduler == nullptr) Fail("a wait outside of the threads");
  scheduler->WaitForAny();
}

void Broken(const char* file, int line, const char* condition) {
  Fail(std::string("broken: ") + condition + " at " + file + ":" + std::to_string(line));
}

}  // namespace larder::model
