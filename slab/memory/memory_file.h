// A file that is the memory of a cache, and keeps it over a restart.
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

// MemoryFile is a file that is mapped as an arena, with room for what else a cache needs to be
// itself again.
//
//   0       |header|- -|     what the file is, and the mark of an orderly stop; then nothing
//   2 MiB   |arena ...|      the mapping; begins where a huge page may
//           |state ...|      written at an orderly stop
//
// The header carries the mark only from the end of an orderly stop, when everything else is on the
// disk, to the end of the next start, which removes it when it has all that it needs and is about
// to serve. Until then nothing of the arena may change that a state tells of: links between free
// chunks may, for they are made anew by every restart. So whoever finds a mark finds the arena that
// belongs to the state.
//
// Threads: one, but for Back and PunchHole, which any thread may call.
// Owns:    the open file, and its lock: one process at a time has it. The file stays, but for one
//          that Open made, if Prepare is not followed by BeginUse.
class MemoryFile {
 public:
  static constexpr std::uint64_t kArenaOffset = std::uint64_t{2} << 20;

  // Opens the file or makes it, readable to its owner only. Fails with a reason, and changes
  // nothing, when it is not empty and not written by larder, or anything but a regular file that
  // belongs to the user of the process and has mode 600; when it is a symbolic link; or when
  // another process has it.
  static Result<std::unique_ptr<MemoryFile>, std::string> Open(const std::string& path);
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  // What WriteState saved, or the reason why there is nothing that may be used.
  Result<std::vector<std::byte>, std::string> ReadState() const;

  // Takes all the space for this shape from the file system now, so that nobody runs out of it
  // later. What is in the file stays, and its size too if BeginUse never follows. Says what went
  // wrong, or nothing. A signal that makes `is_cancelled` true is something that went wrong.
  [[nodiscard]] std::string Prepare(std::uint64_t arena_bytes, std::uint64_t state_bytes_max,
                                    const std::function<bool()>& is_cancelled = {});

  // Removes the mark, then gives the file its shape. What the arena had stays as far as it fits.
  // Says what went wrong, or nothing. REQUIRES: Prepare succeeded.
  [[nodiscard]] std::string BeginUse();

  // Maps the arena over these addresses, instead of what was there. Says what went wrong, or
  // nothing. REQUIRES: Prepare(bytes, ...) succeeded.
  [[nodiscard]] std::string MapAt(std::byte* base, std::uint64_t bytes) const;

  // Gives a part of the arena back to the file system; its contents are lost.
  void PunchHole(std::uint64_t offset, std::uint64_t bytes) const;
  // Takes the space for it again. False when there is none.
  [[nodiscard]] bool Back(std::uint64_t offset, std::uint64_t bytes) const;

  // Saves the arena, which lies at `base`, then the state, then sets the mark. Says what went
  // wrong, or nothing. REQUIRES: BeginUse succeeded; nobody writes to the arena any more;
  // state.size() is at most what was prepared.
  [[nodiscard]] std::string WriteState(std::span<const std::byte> state, std::byte* base);

  const std::string& path() const { return path_; }

 private:
  struct Header;

  MemoryFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::string CheckIsOurs() const;
  void Remove() const;
  std::string WriteHeader(const Header& header) const;

  const std::string path_;
  const int fd_;
  std::uint64_t arena_bytes_ = 0;
  std::uint64_t state_bytes_max_ = 0;
  std::optional<std::uint64_t> bytes_before_;  // Prepare's, until BeginUse.
  bool is_made_ = false;                       // By Open: it was not there before.
};

}  // namespace larder::slab
