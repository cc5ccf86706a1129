#include "server/signals.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <system_error>

#include "slab/check.h"

namespace larder::server {
namespace {

// The signals that ask for an orderly stop.
constexpr std::array kStopSignals = {SIGTERM, SIGINT, SIGUSR1};

// Written by the signal handler, on whichever thread it runs.
std::atomic<bool> stop_is_signalled{false};
std::atomic<bool> reload_is_signalled{false};
// Written once, before the handler is installed.
std::atomic<int> signal_fd{-1};
// A signal handler may only use atomics that are free of locks.
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

// The signal handler. It calls only what POSIX allows there, and leaves errno as it was.
extern "C" void OnSignal(int number) {
  const int error = errno;
  (number == SIGHUP ? reload_is_signalled : stop_is_signalled)
      .store(true, std::memory_order_release);
  const std::uint64_t one = 1;
  // Wakes the event loop that watches the descriptor.
  (void)!write(signal_fd.load(std::memory_order_relaxed), &one, sizeof one);
  errno = error;
}

}  // namespace

StepResult CatchSignals() {
  // The handler writes to this descriptor, so it must never block.
  const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0) {
    return ConfigExit::SystemError(fmt::format("failed to make a descriptor for signals: {}",
                                               std::generic_category().message(errno)));
  }
  signal_fd.store(fd, std::memory_order_relaxed);

  // A write to a connection that was closed returns EPIPE, and one to a file that may not grow
  // returns EFBIG, instead of ending the process.
  struct sigaction ignored = {};
  ignored.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignored, nullptr);
  sigaction(SIGXFSZ, &ignored, nullptr);
  struct sigaction caught = {};
  caught.sa_handler = &OnSignal;
  // System calls continue after the handler, except those that never do.
  caught.sa_flags = SA_RESTART;
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : kStopSignals) sigaddset(&signals, number);
  sigaddset(&signals, SIGHUP);
  for (const int number : kStopSignals) sigaction(number, &caught, nullptr);
  sigaction(SIGHUP, &caught, nullptr);
  // The process may have been started with these signals blocked.
  sigprocmask(SIG_UNBLOCK, &signals, nullptr);
  return Done{};
}

bool StopIsSignalled() { return stop_is_signalled.load(std::memory_order_acquire); }

bool TakeReloadSignal() { return reload_is_signalled.exchange(false, std::memory_order_acq_rel); }

int SignalFd() { return signal_fd.load(std::memory_order_relaxed); }

void ClearSignalFd() {
  LARDER_ASSERT(SignalFd() >= 0);
  std::uint64_t count = 0;
  (void)!read(SignalFd(), &count, sizeof count);
}

}  // namespace larder::server
