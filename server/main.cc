// larder: reads the command line, prepares the process, and serves.
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/app/server.h"
#include "server/certificates.h"
#include "server/config/command_line.h"
#include "server/config/config.h"
#include "server/config/config_exit.h"
#include "server/log.h"
#include "server/process.h"
#include "server/signals.h"

// The configuration of jemalloc, if that is linked. Freed memory returns to the system within
// seconds, by one background thread. Without that thread it would return only when its arena is
// used again.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "dirty_decay_ms:5000,max_background_threads:1";
// Weak: a null pointer if jemalloc is not linked.
[[gnu::weak]] int mallctl(const char* name, void* old, std::size_t* old_bytes, void* value,
                          std::size_t value_bytes);
}

namespace {

using larder::server::BoundPort;
using larder::server::Certificates;
using larder::server::Config;
using larder::server::ConfigExit;
using larder::server::ForkSide;
using larder::server::ListenSocket;
using larder::server::LogLevel;
using larder::server::PidFile;
using larder::server::Server;
using larder::server::WriteLog;

// Prints the reason why the program ends, and returns its exit code.
int Leave(const ConfigExit& exit) {
  std::FILE* stream = exit.exit_code == 0 ? stdout : stderr;
  std::fputs(exit.message.c_str(), stream);
  if (!exit.message.ends_with('\n')) std::fputc('\n', stream);
  return exit.exit_code;
}

// Writes the ports of the listeners to the file that the environment names, for programs that start
// the server on any free port.
void WritePorts(const Server& server) {
  const char* path = std::getenv("MEMCACHED_PORT_FILENAME");
  if (path == nullptr) return;
  std::vector<BoundPort> ports;
  for (const ListenSocket& socket : server.listeners()) {
    if (socket.port() == 0) continue;
    ports.emplace_back(socket.is_ipv6() ? "TCP INET6" : "TCP INET", socket.port());
  }
  if (ports.empty()) return;
  const auto written = larder::server::WritePortFile(path, ports);
  if (!written) WriteLog(LogLevel::kError, written.error());
}

// Starts jemalloc's background thread. Must be called after the last fork, because threads do not
// survive a fork.
larder::server::StepResult StartGivingMemoryBack() {
  if (mallctl == nullptr) return larder::server::Done{};
  bool starts = true;
  const int error = mallctl("background_thread", nullptr, nullptr, &starts, sizeof starts);
  if (error == 0) return larder::server::Done{};
  return ConfigExit::SystemError("failed to start: no thread that gives memory back");
}

}  // namespace

int main(int argc, char** argv) {
  // The standard files come first, so that no other descriptor gets one of their numbers; then the
  // signals, so that none of them can end the process in the middle of the start.
  const auto opened = larder::server::OpenStandardFiles();
  if (!opened) return Leave(opened.error());
  const auto caught = larder::server::CatchSignals();
  if (!caught) return Leave(caught.error());
  const auto config = larder::server::ParseConfig(argc, argv);
  if (!config) return Leave(config.error());
  for (const std::string& warning : config->warnings) WriteLog(LogLevel::kWarning, warning);

  if (config->coredumps) {
    const auto enabled = larder::server::EnableCoredumps();
    if (!enabled) return Leave(enabled.error());
  }
  // While the process still has the privileges to raise limits.
  const auto raised = larder::server::RaiseFileLimit(config->connections_max);
  if (!raised) return Leave(raised.error());
  // Also because only root may be allowed to read the key.
  std::unique_ptr<Certificates> certificates;
  if (config->tls) {
    auto loaded = Certificates::Create(*config);
    if (!loaded) return Leave(loaded.error());
    certificates = std::move(*loaded);
  }
  const auto dropped = larder::server::DropPrivileges(config->user);
  if (!dropped) return Leave(dropped.error());
  // setuid() has switched core dumps off again.
  if (config->coredumps) (void)larder::server::EnableCoredumps();
  const auto side = larder::server::Daemonize(*config);
  if (!side) return Leave(side.error());
  // Without destructors: they belong to the background process.
  if (*side == ForkSide::kStarter) _exit(0);
  const auto gives_back = StartGivingMemoryBack();
  if (!gives_back) return Leave(gives_back.error());
  // A failure to lock memory is only a warning, as in memcached.
  if (config->lock_memory) {
    const auto locked = larder::server::LockMemory();
    if (!locked) WriteLog(LogLevel::kWarning, locked.error());
  }

  const auto server = Server::Create(*config, std::move(certificates));
  // A signal asked to stop during the start.
  if (!server && server.error().exit_code == EXIT_SUCCESS) {
    WriteLog(LogLevel::kError, server.error().message);
    return EXIT_SUCCESS;
  }
  if (!server) return Leave(server.error());
  // The files appear when clients can connect, so that other programs may wait for them.
  WritePorts(**server);
  std::optional<PidFile> pid_file;
  if (!config->pid_file.empty()) {
    auto written = PidFile::Write(
        config->pid_file, config->daemonize ? PidFile::AtExit::kRemove : PidFile::AtExit::kKeep);
    if (!written) {
      WriteLog(LogLevel::kWarning, written.error());
    } else {
      if (!written->warning().empty()) WriteLog(LogLevel::kWarning, written->warning());
      pid_file.emplace(std::move(*written));
    }
  }
  if (!(*server)->Run()) return larder::server::kExitSystem;
  if (config->verbosity > 0) WriteLog(LogLevel::kInfo, "Exiting normally");
  return EXIT_SUCCESS;
}
