// The process around the server: limits, user, background, pid file. Nothing here prints or exits;
// main does, according to the results.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "server/config/config.h"
#include "server/config/config_exit.h"
#include "slab/result.h"

namespace larder::server {

// All functions in this file are for the main thread, before a second thread exists.

// Opens /dev/null for those of standard input, output and error that are closed. Otherwise a file
// or a socket would get one of their numbers, and would receive what is printed. Call it before
// anything else is opened. Fails with exit code 71.
StepResult OpenStandardFiles();

// Raises the limit of open files to connections_max, which is above 0, and by as much more for
// listeners, event queues and other files as the hard limit allows. Never lowers a limit. Fails
// with exit code 71.
StepResult RaiseFileLimit(int connections_max);

// Removes the limit on the size of core dumps, or raises it to the hard limit. Fails with exit code
// 71 if that is zero. Call it again after DropPrivileges(), because a change of the user disables
// core dumps.
StepResult EnableCoredumps();

// If the process runs as root: changes to the user `user` and its group, and gives up all
// supplementary groups. Otherwise does nothing, whatever `user` is. Fails with exit code 64 if
// `user` is empty, 67 if there is no such user, 71 if the system refuses.
StepResult DropPrivileges(const std::string& user);

// In which process Daemonize() has returned.
enum class ForkSide : std::uint8_t {
  // The process that serves: the background process, or the only one without -d. Go on.
  kServer,
  // The process that was started. Exit at once with code 0 and without destructors, by _exit().
  kStarter,
};

// With -d: forks, starts a session, changes to the root directory (not with -r, because a core dump
// needs a directory that can be written) and redirects the standard files to /dev/null (not with
// -v). Without -d it does nothing. Fails with exit code 1.
//
// REQUIRES: no other thread runs.
Result<ForkSide, ConfigExit> Daemonize(const Config& config);

// Keeps the memory that is mapped now out of swap, from when it is first touched: address ranges
// that are only reserved stay untouched. Fails with a line to warn with; the server can run
// without this.
Result<Done, std::string> LockMemory();

// A port of a listener: "TCP INET" or "TCP INET6", and the number.
using BoundPort = std::pair<std::string, int>;
// Writes the ports of listeners to a file, each as a line such as "TCP INET: 11211", for programs
// that start the server on any free port. The file appears complete, by a rename from <path>.lck.
// Fails with a line to warn with.
Result<Done, std::string> WritePortFile(const std::string& path, std::span<const BoundPort> ports);

// PidFile is a file that contains the id of this process.
//
// Threads: one worker (the main thread).
// Owns:    the file, if it is to be removed at the end.
class PidFile {
 public:
  // Whether the destructor removes the file. memcached removes it with -d only.
  enum class AtExit : std::uint8_t { kKeep, kRemove };

  // Writes "<pid>\n" to <path>.tmp and renames that to `path`, which may exist. Fails with a line
  // to warn with; the server can run without the file. REQUIRES: `path` is not empty.
  static Result<PidFile, std::string> Write(std::string path, AtExit at_exit);

  PidFile(PidFile&& other) noexcept;
  PidFile& operator=(PidFile&&) = delete;
  ~PidFile();

  // A line to warn with, if the older file named a process that is running; otherwise empty.
  const std::string& warning() const { return warning_; }

 private:
  PidFile(std::string path, AtExit at_exit, std::string warning);

  std::string path_;
  AtExit at_exit_;
  // The process that wrote the file. The copy of a forked process does not remove it.
  pid_t owner_;
  std::string warning_;
};

}  // namespace larder::server
