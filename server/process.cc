#include "server/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <optional>
#include <system_error>

#include "server/small_file.h"
#include "slab/check.h"

namespace larder::server {
namespace {

// For the listeners, and about three descriptors for each worker.
constexpr rlim_t kOwnFilesMax = 4096;

// The text of an errno value.
std::string Reason(int error = errno) { return std::generic_category().message(error); }

// Writes a file that other processes see completely or not at all. Fails with a message that names
// the step and the reason. `what` is the kind of file.
Result<Done, std::string> WriteByRename(const std::string& path, const std::string& temporary,
                                        std::string_view what, std::string_view text) {
  const auto error = ReplaceFile(path, temporary, text);
  if (!error) return Done{};
  switch (error->step) {
    case ReplaceStep::kOpen:
      return Failure{fmt::format("Could not open the {} file {} for writing: {}", what, temporary,
                                 error->text)};
    case ReplaceStep::kWrite:
      return Failure{
          fmt::format("Could not write the {} file {}: {}", what, temporary, error->text)};
    case ReplaceStep::kRename:
      break;
  }
  return Failure{fmt::format("Could not rename the {} file from {} to {}: {}", what, temporary,
                             path, error->text)};
}

// Returns the process that a pid file names, if it is running and is not this one.
std::optional<pid_t> RunningProcessIn(const std::string& path) {
  std::ifstream file(path);
  pid_t pid = 0;
  if (!(file >> pid) || pid <= 0 || pid == getpid()) return std::nullopt;
  // EPERM: the process exists, but belongs to another user.
  if (kill(pid, 0) != 0 && errno != EPERM) return std::nullopt;
  return pid;
}

// memcached's message, with the reason in errno.
Failure<ConfigExit> CannotDaemonize() {
  return ConfigExit::BadValue(
      fmt::format("failed to daemon() in order to daemonize: {}", Reason()));
}

}  // namespace

StepResult OpenStandardFiles() {
  for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(standard, F_GETFD) >= 0 || errno != EBADF) continue;
    // open() returns the lowest free descriptor. The ones below are open, so that is the one to
    // fill.
    if (open("/dev/null", O_RDWR) != standard) {
      return ConfigExit::SystemError(
          fmt::format("failed to open /dev/null for a standard file: {}", Reason()));
    }
  }
  return Done{};
}

StepResult RaiseFileLimit(int connections_max) {
  LARDER_ASSERT(connections_max > 0);
  const auto needed = static_cast<rlim_t>(connections_max);
  const rlim_t wanted = needed + kOwnFilesMax;
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return ConfigExit::SystemError("failed to getrlimit number of files");
  }
  if (limit.rlim_cur >= wanted) return Done{};

  // Root may raise the hard limit as well. Other users get what the hard limit allows.
  const rlimit generous = {.rlim_cur = wanted, .rlim_max = std::max(limit.rlim_max, wanted)};
  if (setrlimit(RLIMIT_NOFILE, &generous) == 0) return Done{};
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  if (limit.rlim_cur < needed || setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return ConfigExit::SystemError(
        "failed to set rlimit for open files. Try starting as root or requesting smaller maxconns "
        "value.");
  }
  return Done{};
}

StepResult EnableCoredumps() {
  const rlimit unlimited = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
  rlimit limit = {};
  if (setrlimit(RLIMIT_CORE, &unlimited) != 0 && getrlimit(RLIMIT_CORE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    // The result is read back below.
    (void)setrlimit(RLIMIT_CORE, &limit);
  }
  if (getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_cur == 0 ||
      prctl(PR_SET_DUMPABLE, 1) != 0) {
    return ConfigExit::SystemError("failed to ensure corefile creation");
  }
  return Done{};
}

StepResult DropPrivileges(const std::string& user) {
  // Only root can change its user.
  if (getuid() != 0 && geteuid() != 0) return Done{};
  if (user.empty()) return ConfigExit::Refused("must add '-u root' to start as root");

  errno = 0;
  const passwd* const entry = getpwnam(user.c_str());
  // The users could not be read. Any other error says only that this one is not among them.
  constexpr std::array kUnreadable = {EMFILE, ENFILE, ENOMEM, EIO, EINTR};
  if (entry == nullptr && std::ranges::find(kUnreadable, errno) != kUnreadable.end()) {
    return ConfigExit::SystemError(
        fmt::format("failed to look up the user {}: {}", user, Reason()));
  }
  if (entry == nullptr) {
    return Failure{ConfigExit{fmt::format("can't find the user {} to switch to", user), EX_NOUSER}};
  }
  // In this order: the process may change its groups only as long as it is root.
  if (setgroups(0, nullptr) != 0 || setgid(entry->pw_gid) != 0 || setuid(entry->pw_uid) != 0) {
    return ConfigExit::SystemError(
        fmt::format("failed to assume identity of user {}: {}", user, Reason()));
  }
  LARDER_ASSERT(getuid() == entry->pw_uid && geteuid() == entry->pw_uid);
  return Done{};
}

Result<ForkSide, ConfigExit> Daemonize(const Config& config) {
  if (!config.daemonize) return ForkSide::kServer;

  // Otherwise both processes would print what is buffered.
  std::fflush(nullptr);
  // The parent process is done; the child becomes the server.
  const pid_t child = fork();
  if (child < 0) return CannotDaemonize();
  if (child > 0) return ForkSide::kStarter;

  // A process without a controlling terminal.
  if (setsid() < 0) return CannotDaemonize();
  if (!config.coredumps && chdir("/") != 0) return CannotDaemonize();
  // With -v, messages go on to the terminal or file of the start.
  if (config.verbosity == 0) {
    const int null = open("/dev/null", O_RDWR);
    if (null < 0) return CannotDaemonize();
    for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
      if (dup2(null, standard) < 0) return CannotDaemonize();
    }
    if (null > STDERR_FILENO) close(null);
  }
  return ForkSide::kServer;
}

Result<Done, std::string> LockMemory() {
  // MCL_CURRENT only: later mappings reserve more address space than a limit on locked memory
  // allows. The arena locks its pages itself when it takes them.
  if (mlockall(MCL_CURRENT | MCL_ONFAULT) != 0) {
    return Failure{fmt::format("warning: -k invalid, mlockall() failed: {}", Reason())};
  }
  return Done{};
}

Result<Done, std::string> WritePortFile(const std::string& path, std::span<const BoundPort> ports) {
  std::string text;
  for (const auto& [kind, port] : ports) text += fmt::format("{}: {}\n", kind, port);
  return WriteByRename(path, path + ".lck", "port", text);
}

Result<PidFile, std::string> PidFile::Write(std::string path, AtExit at_exit) {
  LARDER_ASSERT(!path.empty());
  std::string warning;
  // The file is replaced nevertheless, as in memcached.
  if (const auto running = RunningProcessIn(path)) {
    warning =
        fmt::format("WARNING: The pid file contained the following (running) pid: {}", *running);
  }
  auto written = WriteByRename(path, path + ".tmp", "pid", fmt::format("{}\n", getpid()));
  if (!written) return Failure{written.error()};
  return PidFile(std::move(path), at_exit, std::move(warning));
}

PidFile::PidFile(std::string path, AtExit at_exit, std::string warning)
    : path_(std::move(path)), at_exit_(at_exit), owner_(getpid()), warning_(std::move(warning)) {}

PidFile::PidFile(PidFile&& other) noexcept
    : path_(std::move(other.path_)),
      // The object that was moved from must not remove the file.
      at_exit_(std::exchange(other.at_exit_, AtExit::kKeep)),
      owner_(other.owner_),
      warning_(std::move(other.warning_)) {}

PidFile::~PidFile() {
  // After a fork, both processes have a copy of the object: only the writer removes the file.
  if (at_exit_ == AtExit::kRemove && owner_ == getpid()) unlink(path_.c_str());
}

}  // namespace larder::server
