#include "server/small_file.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <string>

#include "tests/temporary_folder.h"

namespace larder::server {
namespace {

TEST_CASE("a small file is read whole", "[small_file]") {
  const TemporaryFolder folder;
  WriteFile(folder / "file", "one\ntwo");
  const auto file = ReadSmallFile(folder / "file", 7);
  REQUIRE(file);
  CHECK(file->text == "one\ntwo");
  CHECK(file->stamp.bytes == 7);
  CHECK(file->stamp == *StampOf(folder / "file"));
}

TEST_CASE("what is no small file is refused", "[small_file]") {
  const TemporaryFolder folder;
  WriteFile(folder / "file", "too long");
  REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(ReadSmallFile(folder / "file", 7).error().text == "is larger than 7 bytes");
  CHECK(ReadSmallFile(folder / "pipe", 7).error().text == "is not a file");
  CHECK(ReadSmallFile(folder / ".", 7).error().text == "is not a file");
  CHECK(ReadSmallFile(folder / "missing", 7).error().error_number == ENOENT);
  CHECK(StampOf(folder / "missing").error().error_number == ENOENT);
}

TEST_CASE("a file that takes another's place has another stamp", "[small_file]") {
  const TemporaryFolder folder;
  WriteFile(folder / "file", "a");
  const auto before = StampOf(folder / "file");
  WriteFile(folder / "other", "b");
  REQUIRE(std::rename((folder / "other").c_str(), (folder / "file").c_str()) == 0);
  const auto after = StampOf(folder / "file");
  REQUIRE(before);
  REQUIRE(after);
  CHECK_FALSE(*before == *after);
}

TEST_CASE("a file is replaced at once, and nothing is left beside it", "[small_file]") {
  const TemporaryFolder folder;
  CHECK(ReplaceSmallFile(folder / "file", "first").empty());
  CHECK(ReplaceSmallFile(folder / "file", "2nd").empty());
  CHECK(Contents(folder / "file") == "2nd");
  CHECK(access((folder / "file.new").c_str(), F_OK) != 0);
  CHECK_FALSE(ReplaceSmallFile(folder / "missing/file", "x").empty());
}

TEST_CASE("a file that cannot be written whole leaves the old one, and nothing beside it",
          "[small_file]") {
  const TemporaryFolder folder;
  const std::string path = folder / "file";
  REQUIRE(ReplaceSmallFile(path, "old").empty());
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit little = {.rlim_cur = 5, .rlim_max = 5};
    if (setrlimit(RLIMIT_FSIZE, &little) != 0) _exit(2);
    const auto error = ReplaceFile(path, path + ".new", "longer than that");
    _exit(error && error->step == ReplaceStep::kWrite ? 0 : 1);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(Contents(path) == "old");
  CHECK(access((path + ".new").c_str(), F_OK) != 0);
}

}  // namespace
}  // namespace larder::server
