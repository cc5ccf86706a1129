#include "server/small_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "slab/check.h"

namespace larder::server {
namespace {

// The permissions of a new file, before the umask.
constexpr mode_t kNewFileMode = 0644;

// Descriptor closes a file descriptor in its destructor.
//
// Threads: one worker.
// Owns:    the descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

// The error that errno has.
FileError SystemError() {
  const int number = errno;
  return {number, std::strerror(number)};
}

std::int64_t Nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

FileStamp StampFrom(const struct stat& status) {
  return {.device = status.st_dev,
          .inode = status.st_ino,
          .bytes = status.st_size,
          .modified_ns = Nanoseconds(status.st_mtim),
          .changed_ns = Nanoseconds(status.st_ctim)};
}

// The directory of a file, with its last slash; empty: the current one.
std::string FolderOf(const std::string& path) { return path.substr(0, path.rfind('/') + 1); }

// Writes all of `text`. Returns false with errno set if the system refuses.
bool WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t wrote = write(fd, text.data(), text.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return true;
}

// Removes the file that could not become `path`. The error is read first, because unlink() may
// change errno.
ReplaceError GiveUp(const std::string& next, ReplaceStep step) {
  ReplaceError error{step, SystemError().text};
  unlink(next.c_str());
  return error;
}

}  // namespace

Result<FileStamp, FileError> StampOf(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return Failure{SystemError()};
  return StampFrom(status);
}

Result<SmallFile, FileError> ReadSmallFile(const std::string& path, std::size_t bytes_max) {
  // O_NONBLOCK: opening a pipe must not wait for a writer.
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat before {};
  if (file.get() < 0 || fstat(file.get(), &before) != 0) return Failure{SystemError()};
  // A pipe or a device could deliver bytes for ever.
  if (!S_ISREG(before.st_mode)) return Failure{FileError{0, "is not a file"}};
  const auto announced_bytes = static_cast<std::uint64_t>(before.st_size);
  // One byte more than wanted, so that a file that is too large or grows is noticed.
  std::string text(std::min<std::uint64_t>(announced_bytes, bytes_max) + 1, '\0');
  std::size_t bytes = 0;
  while (bytes < text.size()) {
    const ssize_t got = read(file.get(), text.data() + bytes, text.size() - bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failure{SystemError()};
    if (got == 0) break;
    bytes += static_cast<std::size_t>(got);
  }
  if (bytes > bytes_max) {
    return Failure{FileError{0, fmt::format("is larger than {} bytes", bytes_max)}};
  }
  struct stat after {};
  // A file that was written meanwhile may be a mixture of two versions.
  if (fstat(file.get(), &after) != 0) return Failure{SystemError()};
  if (bytes > announced_bytes || StampFrom(after) != StampFrom(before)) {
    return Failure{FileError{EAGAIN, "changes while it is read"}};
  }
  LARDER_ASSERT(bytes <= text.size());
  // The file may have become shorter, but then the stamps would differ: this removes the extra
  // byte.
  text.resize(bytes);
  text.shrink_to_fit();
  return SmallFile{.stamp = StampFrom(after), .text = std::move(text)};
}

std::optional<ReplaceError> ReplaceFile(const std::string& path, const std::string& next,
                                        std::string_view text) {
  LARDER_ASSERT(path != next && FolderOf(path) == FolderOf(next));
  {
    const Descriptor file(
        // O_NOFOLLOW: another user might have put a symbolic link in the place of `next`.
        open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, kNewFileMode));
    if (file.get() < 0) return ReplaceError{ReplaceStep::kOpen, SystemError().text};
    // The contents must be on the disk before the name: after a power failure, the name must not
    // refer to an empty file.
    if (!WriteAll(file.get(), text) || fsync(file.get()) != 0) {
      return GiveUp(next, ReplaceStep::kWrite);
    }
  }
  if (std::rename(next.c_str(), path.c_str()) != 0) return GiveUp(next, ReplaceStep::kRename);
  // The new name is on the disk when the directory is. If that cannot be opened or synchronised,
  // the file has been replaced nevertheless.
  const std::string folder = FolderOf(path);
  const Descriptor opened(
      open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.get() >= 0) (void)fsync(opened.get());
  return std::nullopt;
}

std::string ReplaceSmallFile(const std::string& path, std::string_view text) {
  const auto error = ReplaceFile(path, path + ".new", text);
  return error ? error->text : "";
}

}  // namespace larder::server
