// The process around the server: limits, user, background, pid file. Nothing here prints or exits;
// main does, by what it is told.
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

// All of this is for the main thread, before there is a second one.

// Opens /dev/null for whichever of standard input, output and error are closed, so that no file or
// socket becomes one of them, and gets what is printed. Before anything else is opened. Fails with
// exit code 71.
StepResult OpenStandardFiles();

// Lets the process have connections_max files open, and as many more for listeners, event queues
// and files of its own as the hard limit allows; never lowers a limit. Fails with exit code 71.
StepResult RaiseFileLimit(int connections_max);

// Removes the limit on core dumps, or raises it to the hard one. Fails with exit code 71 if that is
// zero. Call it again after DropPrivileges: changing the user switches dumps off.
StepResult EnableCoredumps();

// Started as root: gives up supplementary groups, group and user for those of `user`. Otherwise
// does nothing, whatever `user` is. Fails with 64 when root names no user, 67 when there is no such
// user, 71 when the system refuses.
StepResult DropPrivileges(const std::string& user);

enum class ForkSide : std::uint8_t {
  kServer,   // Go on: the background process, or the only one without -d.
  kStarter,  // Leave at once with exit code 0, and without running destructors: _exit.
};

// With -d: forks, starts a session, goes to the root folder (not with -r, so that the core has
// somewhere to go) and leaves the terminal (not with -v). Fails with exit code 1.
// REQUIRES: no other thread runs.
Result<ForkSide, ConfigExit> Daemonize(const Config& config);

// Keeps all memory of the process out of swap from when it is first touched: address ranges that
// are only reserved stay untouched. A failure is a line to warn with; the server runs all the same.
// REQUIRES: the cache exists; a limit on locked memory would otherwise make its reservation fail.
Result<Done, std::string> LockMemory();

// Writes the ports that listeners got, each as a line such as "TCP INET: 11211", for those who
// started the server on any free port; MEMCACHED_PORT_FILENAME names the file. It appears whole, by
// a rename from <path>.lck. A failure is a line to warn with.
using BoundPort = std::pair<std::string, int>;  // "TCP INET" or "TCP INET6", and the port.
Result<Done, std::string> WritePortFile(const std::string& path, std::span<const BoundPort> ports);

// PidFile is a file that holds this process's id.
//
// Threads: one, the main thread.
// Owns:    the file, if it was asked to remove it.
class PidFile {
 public:
  enum class AtExit : std::uint8_t { kKeep, kRemove };  // memcached removes it with -d only.

  // Writes "<pid>\n" to <path>.tmp and renames it, over an older file too. A failure is a line to
  // warn with; the server runs all the same.
  static Result<PidFile, std::string> Write(std::string path, AtExit at_exit);

  PidFile(PidFile&& other) noexcept;
  PidFile& operator=(PidFile&&) = delete;
  ~PidFile();

  // A line to warn with when the older file named a process that is running, else empty.
  const std::string& warning() const { return warning_; }

 private:
  PidFile(std::string path, AtExit at_exit, std::string warning);

  std::string path_;
  AtExit at_exit_;
  pid_t owner_;  // A fork's copy removes nothing.
  std::string warning_;
};

}  // namespace larder::server
