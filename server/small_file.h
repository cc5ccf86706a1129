// Reads and writes small files as a whole.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "slab/result.h"

namespace larder::server {

// Identifies the version of a file: if two stamps differ, so may the contents. The change time is
// the part that no program can set; it changes when a file is replaced, renamed or written.
struct FileStamp {
  // Which file it is.
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  // The size.
  std::int64_t bytes = 0;
  // Unix time in nanoseconds, like the next one.
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;

  // The change time in seconds of Unix time.
  std::int64_t changed_s() const { return changed_ns / 1'000'000'000; }
  bool operator==(const FileStamp&) const = default;
};

// The reason why a file cannot be used.
struct FileError {
  // The value of errno; 0: the reason is the file itself, for example its size.
  int error_number = 0;
  // The reason in words, without the path.
  std::string text;
};

// A file that was read, and its stamp at that time.
struct SmallFile {
  FileStamp stamp;
  std::string text;
};

// Fails with the system's reason if the file cannot be examined.
Result<FileStamp, FileError> StampOf(const std::string& path);

// Reads a whole file of at most bytes_max bytes. Fails with EAGAIN if the file changes while it is
// read; with 0 if it is too large, or is not a regular file; otherwise with the system's reason.
// Never waits for a pipe or a device.
Result<SmallFile, FileError> ReadSmallFile(const std::string& path, std::size_t bytes_max);

// The step at which ReplaceFile() failed.
enum class ReplaceStep : std::uint8_t { kOpen, kWrite, kRename };
// The reason why a file could not be replaced.
struct ReplaceError {
  ReplaceStep step = ReplaceStep::kOpen;
  std::string text;
};

// Replaces the file at `path` by one with this text, by a rename from `next`. REQUIRES: `next` is
// another name in the same directory. No reader, and no start of the machine after a power failure,
// ever sees half of it.
//
// Returns nothing on success. Otherwise `path` is as it was, and no new file is left at `next`.
std::optional<ReplaceError> ReplaceFile(const std::string& path, const std::string& next,
                                        std::string_view text);

// Replaces the file as ReplaceFile() does, with `path`.new as `next`. Returns the reason of a
// failure, or an empty string.
std::string ReplaceSmallFile(const std::string& path, std::string_view text);

}  // namespace larder::server
