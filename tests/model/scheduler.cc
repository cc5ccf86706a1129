#include "tests/model/scheduler.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>
#include <utility>

#include "tests/model/processes.h"

namespace larder::model {
namespace {

constexpr std::size_t kStackBytes = std::size_t{512} << 10;
// A thread that makes more accesses than this will not end.
constexpr std::uint64_t kAccessesMax = 50'000'000;

// The path from the root of the sources on.
const char* FromRoot(const char* file) {
  const char* const slab = std::strstr(file, "/slab/");
  const char* const tests = std::strstr(file, "/tests/");
  const char* const at = tests != nullptr ? tests : slab;
  return at != nullptr ? at + 1 : file;
}

}  // namespace

Scheduler*& CurrentScheduler() {
  static Scheduler* current = nullptr;
  return current;
}

Scheduler::Scheduler(Shared& shared, std::vector<std::function<void()>> threads,
                     unsigned preemptions)
    : shared_(shared), preemptions_left_(preemptions), fibers_(threads.size()) {
  for (std::size_t i = 0; i < threads.size(); ++i) {
    Fiber& fiber = fibers_[i];
    fiber.body = std::move(threads[i]);
    fiber.stack = std::make_unique_for_overwrite<std::byte[]>(kStackBytes);
    getcontext(&fiber.context);
    fiber.context.uc_stack = {.ss_sp = fiber.stack.get(), .ss_flags = 0, .ss_size = kStackBytes};
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, &Scheduler::Begin, 0);
  }
  steps_.reserve(1024);
}

void Scheduler::Begin() {
  Scheduler& scheduler = *CurrentScheduler();
  Fiber& self = scheduler.fibers_[scheduler.running_];
  self.body();
  self.state = State::kDone;
  scheduler.Next();
}

void Scheduler::Run() {
  is_running_ = true;
  running_ = Choose(shared_, static_cast<unsigned>(fibers_.size()));
  swapcontext(&main_, &fibers_[running_].context);
  is_running_ = false;
}

std::vector<unsigned> Scheduler::OthersReady() const {
  std::vector<unsigned> ready;
  for (unsigned i = 0; i < fibers_.size(); ++i) {
    if (i != running_ && fibers_[i].state == State::kReady) ready.push_back(i);
  }
  return ready;
}

void Scheduler::SwitchTo(unsigned thread) {
  const unsigned before = std::exchange(running_, thread);
  has_stepped_ = false;
  swapcontext(&fibers_[before].context, &fibers_[thread].context);
}

// A thread that was chosen and has made no step yet need not be left: the order without it is
// another choice at the place where it was chosen.
void Scheduler::MayPreempt() {
  if (preemptions_left_ == 0 || !has_stepped_) return;
  const std::vector<unsigned> others = OthersReady();
  const unsigned option = Choose(shared_, static_cast<unsigned>(others.size()) + 1);
  if (option == 0) return;
  --preemptions_left_;
  SwitchTo(others[option - 1]);
}

void Scheduler::Next() {
  const std::vector<unsigned> others = OthersReady();
  if (!others.empty()) {
    return SwitchTo(others[Choose(shared_, static_cast<unsigned>(others.size()))]);
  }
  const bool all_done =
      std::ranges::all_of(fibers_, [](const Fiber& f) { return f.state == State::kDone; });
  if (!all_done) Fail("no thread can go on");
  swapcontext(&fibers_[running_].context, &main_);
}

void Scheduler::BeforeAccess(const void* place, Access access, const Site& site) {
  fibers_[running_].last = place;
  if (++accesses_ > kAccessesMax) Fail("a thread does not end");
  if (!shared_.Note(place, access, running_)) return;
  MayPreempt();
  AddStep(access == Access::kRead ? "reads" : "writes", place, site);
}

void Scheduler::Pass(const Site& site) {
  MayPreempt();
  AddStep("passes", nullptr, site);
}

void Scheduler::AddStep(const char* what, const void* place, const Site& site) {
  has_stepped_ = true;
  steps_.push_back({.thread = running_, .what = what, .place = place, .site = site});
}

void Scheduler::Wrote(const void* place) {
  ++writes_;
  ++fibers_[running_].own_writes;
  for (unsigned i = 0; i < fibers_.size(); ++i) {
    Fiber& fiber = fibers_[i];
    if (i == running_ || fiber.state != State::kWaiting) continue;
    if (fiber.awaited == nullptr || fiber.awaited == place) fiber.state = State::kReady;
  }
}

void Scheduler::WaitFor(const void* place) {
  Fiber& self = fibers_[running_];
  self.awaited = place;
  self.state = State::kWaiting;
  Next();
}

void Scheduler::WaitForAny() {
  Fiber& self = fibers_[running_];
  // What others have written since the last wait may be what is waited for.
  const std::uint64_t others = writes_ - self.own_writes;
  if (std::exchange(self.seen_writes, others) != others) return;
  WaitFor(nullptr);
  self.seen_writes = writes_ - self.own_writes;
}

void Scheduler::Fail(const std::string& what) const {
  std::string report = what + "\n";
  std::map<const void*, std::size_t> numbers;
  for (const Step& step : steps_) {
    const std::size_t number = numbers.emplace(step.place, numbers.size()).first->second;
    char line[256];
    std::snprintf(line, sizeof line, "  thread %u %-6s place %zu at %s:%d\n", step.thread,
                  step.what, number, FromRoot(step.site.file), step.site.line);
    report += line;
  }
  LeaveFailed(shared_, report);
}

}  // namespace larder::model
