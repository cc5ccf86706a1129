// Files that are read and written as a whole.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "slab/result.h"

namespace larder::server {

// Tells whether a file is still the one that was read. The change time is the one that nobody can
// set; in it, a file that was replaced, renamed or written differs.
struct FileStamp {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t bytes = 0;
  std::int64_t modified_ns = 0;  // Unix time, as the next.
  std::int64_t changed_ns = 0;

  std::int64_t changed_s() const { return changed_ns / 1'000'000'000; }
  bool operator==(const FileStamp&) const = default;
};

struct FileError {
  int error_number = 0;  // errno; 0: the file itself is not as it should be.
  std::string text;
};

struct SmallFile {
  FileStamp stamp;
  std::string text;
};

Result<FileStamp, FileError> StampOf(const std::string& path);

// Fails with EAGAIN when the file changes while it is read. Never waits for a pipe or a device:
// they are no small files.
Result<SmallFile, FileError> ReadSmallFile(const std::string& path, std::size_t bytes_max);

enum class ReplaceStep : std::uint8_t { kOpen, kWrite, kRename };
struct ReplaceError {
  ReplaceStep step = ReplaceStep::kOpen;
  std::string text;
};

// Puts a file with this text in the place of `path` at once, so that no reader, and no start of the
// machine after it was cut off, ever sees half of it: by a rename from `next`, in the same folder.
// What went wrong, or nothing; then `path` is as it was, and nothing is left beside it.
std::optional<ReplaceError> ReplaceFile(const std::string& path, const std::string& next,
                                        std::string_view text);

// The same through `path`.new. Says what went wrong, or nothing.
std::string ReplaceSmallFile(const std::string& path, std::string_view text);

}  // namespace larder::server
