#include "server/process.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>

#include "tests/temporary_folder.h"

namespace larder::server {
namespace {

namespace fs = std::filesystem;

// The exit code of a child that runs `body`: what changes the process stays out of the tests.
// Catch2 does not work in the child; it answers by number.
int InChild(const std::function<int()>& body) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) _exit(body());
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string Contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool is_root() { return geteuid() == 0; }

TEST_CASE("standard files that are closed are opened on nothing", "[process]") {
  for (int closed = 0; closed < 8; ++closed) {
    CAPTURE(closed);
    CHECK(InChild([&] {
            for (int standard = 0; standard < 3; ++standard) {
              if ((closed >> standard & 1) != 0) close(standard);
            }
            if (!OpenStandardFiles()) return 1;
            for (int standard = 0; standard < 3; ++standard) {
              struct stat facts = {};
              if (fstat(standard, &facts) != 0) return 2;
              struct stat null = {};
              if (stat("/dev/null", &null) != 0) return 3;
              if ((closed >> standard & 1) != 0 && facts.st_rdev != null.st_rdev) return 4;
            }
            const int next = dup(0);
            return next > 2 ? 0 : 5;
          }) == 0);
  }
}

TEST_CASE("the file limit is raised to hold all connections", "[process]") {
  CHECK(InChild([] {
          rlimit limit = {};
          getrlimit(RLIMIT_NOFILE, &limit);
          limit.rlim_cur = 64;
          setrlimit(RLIMIT_NOFILE, &limit);
          if (!RaiseFileLimit(200)) return 1;
          getrlimit(RLIMIT_NOFILE, &limit);
          return limit.rlim_cur >= 200 ? 0 : 2;
        }) == 0);
}

TEST_CASE("the file limit is never lowered", "[process]") {
  CHECK(InChild([] {
          rlimit before = {};
          getrlimit(RLIMIT_NOFILE, &before);
          if (!RaiseFileLimit(1)) return 1;
          rlimit after = {};
          getrlimit(RLIMIT_NOFILE, &after);
          return after.rlim_cur >= before.rlim_cur ? 0 : 2;
        }) == 0);
}

TEST_CASE("a file limit that cannot be had is a system error", "[process]") {
  CHECK(InChild([] {
          const rlimit low = {.rlim_cur = 64, .rlim_max = 64};
          setrlimit(RLIMIT_NOFILE, &low);
          if (is_root() && setuid(65534) != 0) return 1;
          const auto raised = RaiseFileLimit(100000);
          return raised ? 2 : raised.error().exit_code;
        }) == 71);
}

TEST_CASE("root without a user is refused", "[process]") {
  if (!is_root()) return;
  const auto dropped = DropPrivileges("");
  REQUIRE_FALSE(dropped);
  CHECK(dropped.error().exit_code == 64);
  CHECK(dropped.error().message == "must add '-u root' to start as root");
}

TEST_CASE("a user that does not exist is named", "[process]") {
  if (!is_root()) return;
  const auto dropped = DropPrivileges("no-such-user");
  REQUIRE_FALSE(dropped);
  CHECK(dropped.error().exit_code == 67);
  CHECK(dropped.error().message == "can't find the user no-such-user to switch to");
}

TEST_CASE("root becomes the user, with no group left and no way back", "[process]") {
  if (!is_root()) return;
  CHECK(InChild([] {
          if (!DropPrivileges("nobody")) return 1;
          if (geteuid() == 0 || getuid() == 0 || getegid() == 0 || getgid() == 0) return 2;
          if (getgroups(0, nullptr) != 0) return 3;
          return setuid(0) == 0 ? 4 : 0;
        }) == 0);
}

TEST_CASE("root may stay root by name", "[process]") {
  if (!is_root()) return;
  CHECK(InChild([] { return DropPrivileges("root") && geteuid() == 0 ? 0 : 1; }) == 0);
}

TEST_CASE("others stay who they are, whatever the user", "[process]") {
  CHECK(InChild([] {
          if (is_root() && setuid(65534) != 0) return 1;
          const uid_t before = getuid();
          return DropPrivileges("root") && getuid() == before ? 0 : 2;
        }) == 0);
}

TEST_CASE("core dumps are allowed, after a change of user too", "[process]") {
  CHECK(InChild([] {
          if (!EnableCoredumps()) return 1;
          if (is_root() && (!DropPrivileges("nobody") || !EnableCoredumps())) return 2;
          rlimit limit = {};
          getrlimit(RLIMIT_CORE, &limit);
          return limit.rlim_cur != 0 && prctl(PR_GET_DUMPABLE) == 1 ? 0 : 3;
        }) == 0);
}

TEST_CASE("without -d the process stays where it is", "[process]") {
  const auto side = Daemonize(Config{});
  REQUIRE(side);
  CHECK(*side == ForkSide::kServer);
}

// What a background process finds itself to be, as it reports to the test.
struct BackgroundReport {
  bool leads_session = false;
  bool is_silent = false;
  std::string folder;
};

BackgroundReport ReportFromBackground(const Config& config) {
  const TemporaryFolder folder;
  const std::string report = folder / "report";
  const int code = InChild([&] {
    const auto side = Daemonize(config);
    if (!side) return 1;
    if (*side == ForkSide::kStarter) return 0;
    struct stat null = {};
    struct stat standard_error = {};
    stat("/dev/null", &null);
    fstat(STDERR_FILENO, &standard_error);
    std::ofstream(report + ".tmp")
        << (getsid(0) == getpid()) << (standard_error.st_rdev == null.st_rdev) << " "
        << fs::current_path().string();
    fs::rename(report + ".tmp", report);
    return 0;
  });
  REQUIRE(code == 0);
  // The background process is nobody's child; its report is all that is seen of it.
  for (int waited_ms = 0; !fs::exists(report) && waited_ms < 10'000; ++waited_ms) usleep(1000);
  BackgroundReport background;
  std::ifstream file(report);
  char leads_session = 0;
  char is_silent = 0;
  REQUIRE(file >> leads_session >> is_silent >> background.folder);
  background.leads_session = leads_session == '1';
  background.is_silent = is_silent == '1';
  return background;
}

TEST_CASE("-d leaves session, folder and terminal", "[process]") {
  Config config;
  config.daemonize = true;
  const BackgroundReport background = ReportFromBackground(config);
  CHECK(background.leads_session);
  CHECK(background.is_silent);
  CHECK(background.folder == "/");
}

TEST_CASE("-d -r stays in its folder", "[process]") {
  Config config;
  config.daemonize = true;
  config.coredumps = true;
  CHECK(ReportFromBackground(config).folder == fs::current_path().string());
}

TEST_CASE("locking memory that is not allowed is a warning", "[process]") {
  CHECK(InChild([] {
          const rlimit none = {.rlim_cur = 0, .rlim_max = 0};
          setrlimit(RLIMIT_MEMLOCK, &none);
          if (is_root() && setuid(65534) != 0) return 1;
          if (mlockall(MCL_CURRENT) == 0) return 0;  // A sanitizer has taken it over.
          const auto locked = LockMemory();
          if (locked) return 2;
          return locked.error().starts_with("warning: -k invalid, mlockall() failed: ") ? 0 : 3;
        }) == 0);
}

TEST_CASE("the port file has a line for each listener", "[process]") {
  const TemporaryFolder folder;
  const std::vector<BoundPort> ports = {{"TCP INET", 46575}, {"TCP INET6", 46576}};
  REQUIRE(WritePortFile(folder / "ports", ports));
  CHECK(Contents(folder / "ports") == "TCP INET: 46575\nTCP INET6: 46576\n");
  CHECK_FALSE(fs::exists(folder / "ports.lck"));
}

TEST_CASE("a port file that cannot be written is a warning", "[process]") {
  const TemporaryFolder folder;
  const auto written = WritePortFile(folder / "none/ports", {});
  REQUIRE_FALSE(written);
  CHECK_THAT(written.error(), Catch::StartsWith("Could not open the port file ") &&
                                  Catch::EndsWith(": No such file or directory"));
}

TEST_CASE("the pid file holds the process id", "[process]") {
  const TemporaryFolder folder;
  const auto file = PidFile::Write(folder / "pid", PidFile::AtExit::kKeep);
  REQUIRE(file);
  CHECK(Contents(folder / "pid") == std::to_string(getpid()) + "\n");
  CHECK(file->warning().empty());
  CHECK_FALSE(fs::exists(folder / "pid.tmp"));
}

TEST_CASE("the pid file goes with its owner only where asked", "[process]") {
  const TemporaryFolder folder;
  REQUIRE(PidFile::Write(folder / "kept", PidFile::AtExit::kKeep));
  CHECK(fs::exists(folder / "kept"));
  REQUIRE(PidFile::Write(folder / "removed", PidFile::AtExit::kRemove));
  CHECK_FALSE(fs::exists(folder / "removed"));
}

TEST_CASE("the pid file stays while its owner moves", "[process]") {
  const TemporaryFolder folder;
  {
    std::optional<PidFile> file;
    file.emplace(std::move(*PidFile::Write(folder / "pid", PidFile::AtExit::kRemove)));
    CHECK(fs::exists(folder / "pid"));
  }
  CHECK_FALSE(fs::exists(folder / "pid"));
}

TEST_CASE("a fork's copy does not remove the pid file", "[process]") {
  const TemporaryFolder folder;
  auto file = PidFile::Write(folder / "pid", PidFile::AtExit::kRemove);
  REQUIRE(file);
  CHECK(InChild([&] {
          { const PidFile copy = std::move(*file); }
          return 0;
        }) == 0);
  CHECK(fs::exists(folder / "pid"));
}

TEST_CASE("a pid file of a running process is overwritten with a warning", "[process]") {
  const TemporaryFolder folder;
  WriteFile(folder / "pid", std::to_string(getppid()) + "\n");
  const auto file = PidFile::Write(folder / "pid", PidFile::AtExit::kKeep);
  REQUIRE(file);
  CHECK(file->warning() == "WARNING: The pid file contained the following (running) pid: " +
                               std::to_string(getppid()));
  CHECK(Contents(folder / "pid") == std::to_string(getpid()) + "\n");
}

TEST_CASE("a stale, own or broken pid file is overwritten without a word", "[process]") {
  const TemporaryFolder folder;
  // After a restart in a container the process has the id of the one before it.
  for (const std::string& text : {std::to_string(getpid()), std::string("2147483646"),
                                  std::string("nonsense"), std::string("-1"), std::string()}) {
    CAPTURE(text);
    WriteFile(folder / "pid", text);
    const auto file = PidFile::Write(folder / "pid", PidFile::AtExit::kKeep);
    REQUIRE(file);
    CHECK(file->warning().empty());
  }
}

TEST_CASE("a pid file that cannot be written is a warning", "[process]") {
  const TemporaryFolder folder;
  const std::string path = folder / "none/pid";
  const auto file = PidFile::Write(path, PidFile::AtExit::kRemove);
  REQUIRE_FALSE(file);
  CHECK(file.error() ==
        "Could not open the pid file " + path + ".tmp for writing: No such file or directory");
}

}  // namespace
}  // namespace larder::server
