// MemoryFile: a file that is the memory of a cache and keeps its items over a restart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "slab/result.h"

namespace larder::slab {

// MemoryFile is a file that is mapped as an arena, with room for the other state that a cache needs
// after a restart.
//
//   0       |header|- -|     what the file is, and the mark of an orderly stop; then nothing
//   2 MiB   |arena ...|      the mapping; begins where a huge page may
//           |state ...|      written at an orderly stop
//
// The header carries the mark from the end of an orderly stop, when everything else is on the disk,
// to the end of the next start, when the new process has all that it needs and is about to serve.
// While the header carries the mark, nothing in the arena may change that the state depends on.
// Links between free chunks may change, because every restart rebuilds them. So a process that
// finds the mark finds the arena that belongs to the state.
//
// Threads:    one thread, except for Back and PunchHole, which any thread may call.
// Owns:       the open file and its lock: one process at a time has it. The file itself stays. An
//             exception is a file that Open has made, if BeginUse does not follow Prepare: it is
//             removed.
// Invariants: the mark is in the header only while arena and state on the disk belong together.
class MemoryFile {
 public:
  // Where the arena begins in the file.
  static constexpr std::uint64_t kArenaOffset = std::uint64_t{2} << 20;

  // Opens the file, or makes it with mode 600. Fails with a reason, and changes nothing, if the
  // file is not empty and was not written by larder, is not a regular file, belongs to another
  // user, has a mode other than 600, is a symbolic link, or is in use by another process.
  static Result<std::unique_ptr<MemoryFile>, std::string> Open(const std::string& path);
  // Closes the file. If Prepare was not followed by BeginUse, the file gets its old size back.
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  // The state that WriteState saved, or the reason why there is none that may be used.
  Result<std::vector<std::byte>, std::string> ReadState() const;

  // Takes all the space that a cache of this size needs from the file system now, so that there is
  // no lack of it later. The contents of the file do not change; if BeginUse never follows, nor
  // does its size in the end. Returns what went wrong, or an empty string. If a signal arrives and
  // `is_cancelled` returns true, that is an error too.
  [[nodiscard]] std::string Prepare(std::uint64_t arena_bytes, std::uint64_t state_bytes_max,
                                    const std::function<bool()>& is_cancelled = {});

  // Removes the mark, then gives the file its size. Contents of the arena stay, as far as they fit.
  // Returns what went wrong, or an empty string. REQUIRES: Prepare succeeded.
  [[nodiscard]] std::string BeginUse();

  // Maps the arena at these addresses, in place of what was mapped there. Returns what went wrong,
  // or an empty string. REQUIRES: Prepare(bytes, ...) succeeded.
  [[nodiscard]] std::string MapAt(std::byte* base, std::uint64_t bytes) const;

  // Gives the space of a part of the arena back to the file system, if that can do it; the contents
  // are lost.
  void PunchHole(std::uint64_t offset, std::uint64_t bytes) const;
  // Takes the space for a part of the arena again. Returns false if there is none.
  [[nodiscard]] bool Back(std::uint64_t offset, std::uint64_t bytes) const;

  // Saves the arena, which is mapped at `base`, then the state, then sets the mark. Returns what
  // went wrong, or an empty string. REQUIRES: BeginUse succeeded, no thread writes to the arena any
  // more, and state.size() is at most what was prepared.
  [[nodiscard]] std::string WriteState(std::span<const std::byte> state, std::byte* base);

  const std::string& path() const { return path_; }

 private:
  struct Header;

  MemoryFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  // Returns why the file must not be used, or an empty string. Locks the file.
  std::string CheckIsOurs() const;
  // Removes the file, if its name still belongs to it.
  void Remove() const;
  // Writes the header with its checksum, to the disk.
  std::string WriteHeader(const Header& header) const;

  const std::string path_;
  const int fd_;
  // The sizes that Prepare was called with; 0 before.
  std::uint64_t arena_bytes_ = 0;
  std::uint64_t state_bytes_max_ = 0;
  // Size of the file before Prepare; nothing before Prepare and after BeginUse.
  std::optional<std::uint64_t> bytes_before_;
  // Open has made the file.
  bool is_made_ = false;
};

}  // namespace larder::slab
