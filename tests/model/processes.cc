#include "tests/model/processes.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace larder::model {
namespace {

pid_t Copy() {
  const pid_t copy = fork();
  // It ends with this one, whoever ends that.
  if (copy == 0) prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (copy < 0) {
    std::perror("fork");
    std::abort();
  }
  return copy;
}

void Await(Shared& shared, pid_t copy) {
  int status = 0;
  while (waitpid(copy, &status, 0) < 0) {
  }
  if (status == 0 || shared.has_failed) return;
  shared.has_failed = true;
  std::snprintf(shared.report.data(), shared.report.size(), "the process died: status %d\n",
                status);
}

}  // namespace

void RunInCopy(Shared& shared, const std::function<void()>& run) {
  // Or the copy would write it again.
  std::fflush(nullptr);
  const pid_t copy = Copy();
  if (copy != 0) return Await(shared, copy);
  run();
  Leave();
}

unsigned Choose(Shared& shared, unsigned count) {
  for (unsigned option = 1; option < count; ++option) {
    const pid_t copy = Copy();
    if (copy == 0) return option;
    Await(shared, copy);
    if (shared.has_failed || shared.is_given_up) Leave();
  }
  return 0;
}

// Without destructors: the copy has the state of the exploration only for itself.
void Leave() { _exit(0); }

void LeaveFailed(Shared& shared, const std::string& report) {
  if (!shared.has_failed) {
    const std::size_t bytes = std::min(report.size(), shared.report.size() - 1);
    std::copy_n(report.begin(), bytes, shared.report.begin());
    shared.report[bytes] = '\0';
    shared.has_failed = true;
  }
  Leave();
}

}  // namespace larder::model
