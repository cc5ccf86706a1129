#include "slab/memory/memory_file.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/temporary_folder.h"

namespace larder::slab {
namespace {

using Catch::Contains;

constexpr std::uint64_t kArenaBytes = 1 << 20;
constexpr std::uint64_t kStateBytesMax = 4096;

// A place to map an arena at.
class Addresses {
 public:
  Addresses() : base_(mmap(nullptr, kArenaBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    REQUIRE(base_ != MAP_FAILED);
  }
  ~Addresses() { munmap(base_, kArenaBytes); }
  Addresses(const Addresses&) = delete;
  Addresses& operator=(const Addresses&) = delete;

  std::byte* base() const { return static_cast<std::byte*>(base_); }
  char* text() const { return static_cast<char*>(base_); }

 private:
  void* base_;
};

class MemoryFileTest {
 protected:
  std::unique_ptr<MemoryFile> Open() {
    auto opened = MemoryFile::Open(path);
    REQUIRE(opened);
    return std::move(*opened);
  }
  // A file that holds this, as an orderly stop leaves it.
  void Save(std::string_view arena, std::string_view state) {
    const Addresses addresses;
    const auto file = Open();
    REQUIRE(file->Prepare(kArenaBytes, kStateBytesMax) == "");
    REQUIRE(file->BeginUse() == "");
    REQUIRE(file->MapAt(addresses.base(), kArenaBytes) == "");
    std::memcpy(addresses.base(), arena.data(), arena.size());
    REQUIRE(file->WriteState(std::as_bytes(std::span(state)), addresses.base()) == "");
  }
  // What is saved, or the reason why nothing is, or why the file is none.
  std::string Load() {
    const auto file = MemoryFile::Open(path);
    if (!file) return file.error();
    const auto state = (*file)->ReadState();
    if (!state) return state.error();
    return {reinterpret_cast<const char*>(state->data()), state->size()};
  }

  TemporaryFolder folder;
  const std::string path = folder / "items";
};

TEST_CASE_METHOD(MemoryFileTest, "what was saved is there again", "[memory_file]") {
  Save("items", "state");
  CHECK(Load() == "state");
  const auto file = Open();
  const Addresses addresses;
  REQUIRE(file->Prepare(kArenaBytes, kStateBytesMax) == "");
  REQUIRE(file->MapAt(addresses.base(), kArenaBytes) == "");
  CHECK(std::string_view(addresses.text(), 5) == "items");
}

TEST_CASE_METHOD(MemoryFileTest, "a file that is in use holds nothing for the next one",
                 "[memory_file]") {
  CHECK(Load() == "it is new");
  Save("items", "state");
  {
    const auto file = Open();
    REQUIRE(file->Prepare(kArenaBytes, kStateBytesMax) == "");
    REQUIRE(file->BeginUse() == "");
  }
  CHECK(Load() == "the server that used it did not stop in order");
}

TEST_CASE_METHOD(MemoryFileTest, "a file that is only prepared stays as it was", "[memory_file]") {
  Save("items", "state");
  const std::string saved = Contents(path);
  for (const std::uint64_t arena_bytes : {kArenaBytes, 3 * kArenaBytes, kArenaBytes / 2}) {
    CAPTURE(arena_bytes);
    {
      const auto file = Open();
      REQUIRE(file->Prepare(arena_bytes, kStateBytesMax) == "");
      const Addresses addresses;
      REQUIRE(file->MapAt(addresses.base(), kArenaBytes / 2) == "");
      CHECK(std::string_view(addresses.text(), 5) == "items");
      // As a process that is killed leaves it.
      CHECK(Contents(path).starts_with(saved));
    }
    CHECK(Contents(path) == saved);
  }
  CHECK(Load() == "state");
}

TEST_CASE_METHOD(MemoryFileTest, "a file has one process at a time", "[memory_file]") {
  const auto file = Open();
  const auto second = MemoryFile::Open(path);
  REQUIRE_FALSE(second);
  CHECK(second.error() == "memory file " + path + " is in use by another process");
}

TEST_CASE_METHOD(MemoryFileTest, "what is no regular file is refused", "[memory_file]") {
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  CHECK_THAT(MemoryFile::Open(path).error(), Contains("is not a regular file"));
  CHECK_THAT(MemoryFile::Open("/dev/null").error(), Contains("is not a regular file"));
  CHECK_THAT(MemoryFile::Open(folder.path()).error(), Contains("Is a directory"));
  CHECK_THAT(MemoryFile::Open(folder / "no/items").error(), Contains("No such file"));
}

TEST_CASE_METHOD(MemoryFileTest, "what larder did not write is refused and stays as it is",
                 "[memory_file]") {
  for (const std::string& text :
       {std::string("#!/bin/sh\n"), std::string(100'000, 'x'), std::string(100'000, '\0'),
        std::string("x"), std::string("\0LRFILE", 7)}) {
    CAPTURE(text.size());
    std::filesystem::remove(path);
    WriteFile(path, text);
    for (const mode_t mode : {mode_t{0600}, mode_t{0644}}) {
      REQUIRE(chmod(path.c_str(), mode) == 0);
      const auto before = std::filesystem::last_write_time(path);
      const auto opened = MemoryFile::Open(path);
      REQUIRE_FALSE(opened);
      CHECK(opened.error() ==
            "memory file " + path + " was not written by larder: it stays as it is");
      CHECK(Contents(path) == text);
      CHECK(std::filesystem::last_write_time(path) == before);
    }
  }
}

TEST_CASE_METHOD(MemoryFileTest, "a file that others may use is refused, be it empty or saved",
                 "[memory_file]") {
  for (const bool is_saved : {false, true}) {
    if (is_saved) {
      Save("items", "state");
    } else {
      WriteFile(path, "");
    }
    const std::string text = Contents(path);
    for (const mode_t mode : {0644u, 0640u, 0601u, 0700u, 0400u, 04600u}) {
      CAPTURE(is_saved, mode);
      REQUIRE(chmod(path.c_str(), mode) == 0);
      const auto opened = MemoryFile::Open(path);
      CHECK_FALSE(opened);
      CHECK(Contents(path) == text);
    }
    REQUIRE(chmod(path.c_str(), 0644) == 0);
    CHECK(MemoryFile::Open(path).error() ==
          "memory file " + path + " has mode 644, not 600: others may have read or changed it");
    REQUIRE(chmod(path.c_str(), 0600) == 0);
    CHECK(MemoryFile::Open(path));
  }
}

TEST_CASE_METHOD(MemoryFileTest, "a file of another user is refused", "[memory_file]") {
  if (geteuid() != 0) return;
  Save("items", "state");
  const std::string text = Contents(path);
  REQUIRE(chown(path.c_str(), 65534, 65534) == 0);
  CHECK(MemoryFile::Open(path).error() == "memory file " + path + " belongs to another user");
  CHECK(Contents(path) == text);
}

TEST_CASE_METHOD(MemoryFileTest, "a symbolic link is refused, wherever it leads", "[memory_file]") {
  const std::string target = folder / "target";
  std::filesystem::create_symlink(target, path);
  const std::string reason = "memory file " + path + " is a symbolic link";
  CHECK(MemoryFile::Open(path).error() == reason);
  CHECK_FALSE(std::filesystem::exists(target));
  std::filesystem::remove(path);
  Save("items", "state");
  std::filesystem::rename(path, target);
  std::filesystem::create_symlink(target, path);
  CHECK(MemoryFile::Open(path).error() == reason);
}

TEST_CASE_METHOD(MemoryFileTest, "a new file is readable to its owner whatever the umask",
                 "[memory_file]") {
  const mode_t before = umask(0777);
  const bool is_open = static_cast<bool>(MemoryFile::Open(path));
  umask(before);
  CHECK(is_open);
  CHECK(Load() == "it is new");
}

TEST_CASE_METHOD(MemoryFileTest, "a file that is being made is known as ours at every moment",
                 "[memory_file]") {
  (void)Open();
  CHECK(Load() == "it is new");
  // Its size comes with its space; a process may be killed between that and whatever follows.
  CHECK_THAT(Open()->Prepare((std::uint64_t{1} << 63) - kArenaBytes, kStateBytesMax),
             Contains("cannot have"));
  CHECK(Load() == "it is new");
  const auto file = Open();
  REQUIRE(file->Prepare(kArenaBytes, kStateBytesMax) == "");
  const std::string magic = Contents(path).substr(0, 8);
  CHECK(magic != std::string(8, '\0'));
  const std::string killed = folder / "killed";
  { REQUIRE(MemoryFile::Open(killed)); }
  WriteFile(killed, Contents(path));
  const auto opened = MemoryFile::Open(killed);
  REQUIRE(opened);
  CHECK((*opened)->ReadState().error() == "the server that used it did not stop in order");
}

TEST_CASE_METHOD(MemoryFileTest, "only its owner can read it", "[memory_file]") {
  (void)Open();
  struct stat facts = {};
  REQUIRE(stat(path.c_str(), &facts) == 0);
  CHECK((facts.st_mode & 0777) == 0600);
}

TEST_CASE_METHOD(MemoryFileTest, "its space is taken at once, and a part can be given back",
                 "[memory_file]") {
  const auto taken = [&] {
    struct stat facts = {};
    REQUIRE(stat(path.c_str(), &facts) == 0);
    return static_cast<std::uint64_t>(facts.st_blocks) * 512;
  };
  const auto file = Open();
  REQUIRE(file->Prepare(kArenaBytes, kStateBytesMax) == "");
  CHECK(taken() >= kArenaBytes + kStateBytesMax);
  file->PunchHole(kArenaBytes / 2, kArenaBytes / 4);
  CHECK(taken() < kArenaBytes);
  CHECK(file->Back(kArenaBytes / 2, kArenaBytes / 4));
  CHECK(taken() >= kArenaBytes + kStateBytesMax);
}

TEST_CASE_METHOD(MemoryFileTest, "a file that was made for nothing is removed", "[memory_file]") {
  CHECK_THAT(Open()->Prepare((std::uint64_t{1} << 63) - kArenaBytes, kStateBytesMax),
             Contains("cannot have"));
  CHECK_FALSE(std::filesystem::exists(path));
  CHECK(Open()->Prepare(kArenaBytes, kStateBytesMax) == "");
  CHECK_FALSE(std::filesystem::exists(path));
  SECTION("but not one that has its name by now") {
    const auto file = Open();
    REQUIRE(file->Prepare(kArenaBytes, kStateBytesMax) == "");
    std::filesystem::remove(path);
    WriteFile(path, "another");
  }
  SECTION("but not one that has been taken into use") {
    const auto file = Open();
    REQUIRE(file->Prepare(kArenaBytes, kStateBytesMax) == "");
    REQUIRE(file->BeginUse() == "");
  }
  CHECK(std::filesystem::exists(path));
}

TEST_CASE_METHOD(MemoryFileTest, "without space nothing changes", "[memory_file]") {
  Save("items", "state");
  const auto bytes = std::filesystem::file_size(path);
  CHECK_THAT(Open()->Prepare((std::uint64_t{1} << 63) - kArenaBytes, kStateBytesMax),
             Contains("cannot have"));
  CHECK(std::filesystem::file_size(path) == bytes);
  CHECK(Load() == "state");
}

TEST_CASE_METHOD(MemoryFileTest, "the file grows and shrinks with its arena", "[memory_file]") {
  Save("items", "state");
  const auto file = Open();
  const Addresses addresses;
  for (const std::uint64_t factor : {3u, 1u}) {
    REQUIRE(file->Prepare(factor * kArenaBytes, kStateBytesMax) == "");
    REQUIRE(file->BeginUse() == "");
    CHECK(std::filesystem::file_size(path) ==
          MemoryFile::kArenaOffset + factor * kArenaBytes + kStateBytesMax);
    REQUIRE(file->MapAt(addresses.base(), kArenaBytes) == "");
    CHECK(std::string_view(addresses.text(), 5) == "items");
  }
}

TEST_CASE_METHOD(MemoryFileTest, "a changed byte of header or state is found", "[memory_file]") {
  Save("items", "state");
  const std::string good = Contents(path);
  constexpr std::size_t kHeaderBytes = 48;
  const std::size_t state_at = MemoryFile::kArenaOffset + kArenaBytes;
  std::vector<std::size_t> places;
  for (std::size_t at = 0; at < kHeaderBytes; ++at) places.push_back(at);
  for (std::size_t at = state_at; at < state_at + 5; ++at) places.push_back(at);
  for (const std::size_t at : places) {
    for (const char flip : {'\x01', '\x80', '\xff'}) {
      CAPTURE(at);
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ flip);
      WriteFile(path, bad);
      CHECK(Load() != "state");
    }
  }
  WriteFile(path, good);
  CHECK(Load() == "state");
}

TEST_CASE_METHOD(MemoryFileTest, "a file that was cut is found", "[memory_file]") {
  Save("items", "state");
  for (const std::uint64_t bytes : {std::uint64_t{1}, std::uint64_t{47}, std::uint64_t{48},
                                    MemoryFile::kArenaOffset + kArenaBytes + 4}) {
    CAPTURE(bytes);
    Save("items", "state");
    std::filesystem::resize_file(path, bytes);
    CHECK(Load() != "state");
    std::filesystem::remove(path);
  }
}

TEST_CASE_METHOD(MemoryFileTest, "other people's files hold nothing", "[memory_file]") {
  WriteFile(path, std::string(100'000, 'x'));
  CHECK_THAT(Load(), Contains("was not written by larder"));
}

}  // namespace
}  // namespace larder::slab
