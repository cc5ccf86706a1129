#include "slab/memory/memory_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "slab/check.h"
#include "slab/memory/zeroed_array.h"

namespace larder::slab {
namespace {

// The first bytes of every memory file. They read differently on a machine of another byte order.
constexpr std::uint64_t kMagic = 0x31454c4946524c00;
// Version of all that is in the file, item headers included.
constexpr std::uint32_t kFormatVersion = 4;
// The mark of an orderly stop.
constexpr std::uint32_t kCleanMark = 0x4e41454c;
// Only the owner may read and write the file.
constexpr mode_t kFileMode = S_IRUSR | S_IWUSR;
// The bits of st_mode that are permissions.
constexpr mode_t kModeBits = 07777;
// The seed of all checksums; any constant would do.
constexpr std::uint64_t kChecksumSeed = 1;

static_assert(MemoryFile::kArenaOffset % kHugePageBytes == 0);

// An error message: what failed, and the system's reason.
std::string Reason(std::string_view what, int error = errno) {
  return std::string(what) + ": " + std::strerror(error);
}

// The checksum of some bytes.
std::uint64_t Checksum(const void* bytes, std::size_t count) {
  return XXH3_64bits_withSeed(bytes, count, kChecksumSeed);
}

// Reads all `bytes` at an offset. Returns false on an error or at the end of the file.
bool ReadAt(int fd, void* to, std::size_t bytes, std::uint64_t offset) {
  auto* at = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t got = pread(fd, at, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    bytes -= static_cast<std::size_t>(got);
    offset += static_cast<std::uint64_t>(got);
  }
  return true;
}

// Writes all `bytes` at an offset. Returns false on an error; errno has the reason.
bool WriteAt(int fd, const void* from, std::size_t bytes, std::uint64_t offset) {
  const auto* at = static_cast<const char*>(from);
  while (bytes > 0) {
    const ssize_t put = pwrite(fd, at, bytes, static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return false;
    at += put;
    bytes -= static_cast<std::size_t>(put);
    offset += static_cast<std::uint64_t>(put);
  }
  return true;
}

// True if the path itself is a symbolic link.
bool IsSymbolicLink(const std::string& path) {
  struct stat facts = {};
  return lstat(path.c_str(), &facts) == 0 && S_ISLNK(facts.st_mode);
}

// Takes the space for a range of the file. Returns 0 or an error; EINTR if `is_cancelled` ends it.
// A signal interrupts the system call, so that `is_cancelled` can be asked.
int Allocate(int fd, std::uint64_t offset, std::uint64_t bytes,
             const std::function<bool()>& is_cancelled = {}) {
  for (;;) {
    const int error = posix_fallocate(fd, static_cast<off_t>(offset), static_cast<off_t>(bytes));
    if (error != EINTR || (is_cancelled && is_cancelled())) return error;
  }
}

// Whether the process may write a file as long as this. A file that has that size already is no
// exception: writes behind the limit fail.
bool MayWrite(std::uint64_t file_bytes) {
  rlimit limit{};
  return getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur >= file_bytes;
}

}  // namespace

// The beginning of the file.
struct MemoryFile::Header {
  std::uint64_t magic = kMagic;
  std::uint32_t version = kFormatVersion;
  // kCleanMark, or 0: there was no orderly stop.
  std::uint32_t mark = 0;
  // Where the state lies in the file, and its checksum.
  std::uint64_t state_offset = 0;
  std::uint64_t state_bytes = 0;
  std::uint64_t state_checksum = 0;
  // Checksum of all fields above.
  std::uint64_t checksum = 0;

  std::uint64_t Sum() const { return Checksum(this, offsetof(Header, checksum)); }
};

Result<std::unique_ptr<MemoryFile>, std::string> MemoryFile::Open(const std::string& path) {
  // Symbolic links are not followed, and a device or pipe does not block.
  constexpr int kFlags = O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW;
  int fd = open(path.c_str(), kFlags | O_CREAT | O_EXCL, kFileMode);
  const bool is_made = fd >= 0;
  if (fd < 0 && errno == EEXIST) fd = open(path.c_str(), kFlags);
  if (fd < 0 && errno == ELOOP && IsSymbolicLink(path)) {
    return Failure{"memory file " + path + " is a symbolic link"};
  }
  if (fd < 0) return Failure{Reason("cannot open memory file " + path)};
  std::unique_ptr<MemoryFile> file(new MemoryFile(path, fd));
  file->is_made_ = is_made;
  // Sets the mode exactly, because the umask may have removed bits of it.
  if (is_made && fchmod(fd, kFileMode) != 0) {
    return Failure{Reason("cannot set the mode of memory file " + path)};
  }
  if (std::string wrong = file->CheckIsOurs(); !wrong.empty()) return Failure{std::move(wrong)};
  return file;
}

std::string MemoryFile::CheckIsOurs() const {
  const std::string name = "memory file " + path_;
  struct stat facts = {};
  if (fstat(fd_, &facts) != 0) return Reason("cannot look at " + name);
  if (!S_ISREG(facts.st_mode)) return name + " is not a regular file";
  if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return name + " is in use by another process";
    return Reason("cannot lock " + name);
  }
  // Look again, now that the file is locked: the process that had the lock may have written the
  // header, or removed the file.
  if (fstat(fd_, &facts) != 0) return Reason("cannot look at " + name);
  if (facts.st_nlink == 0) return name + " was removed meanwhile";
  std::uint64_t magic = 0;
  if (facts.st_size > 0 && (!ReadAt(fd_, &magic, sizeof magic, 0) || magic != kMagic)) {
    return name + " was not written by larder: it stays as it is";
  }
  // Another user, or everybody, could have changed items or could read them.
  if (facts.st_uid != geteuid()) return name + " belongs to another user";
  if (const mode_t mode = facts.st_mode & kModeBits; mode != kFileMode) {
    std::array<char, 8> text{};
    (void)std::snprintf(text.data(), text.size(), "%o", static_cast<unsigned>(mode));
    return name + " has mode " + text.data() + ", not 600: others may have read or changed it";
  }
  return {};
}

MemoryFile::~MemoryFile() {
  // Not used: give back the space that Prepare took, and remove the file if Open had made it.
  if (bytes_before_) {
    (void)!ftruncate(fd_, static_cast<off_t>(*bytes_before_));
    if (is_made_) Remove();
  }
  close(fd_);
}

// Removes the file, unless its name belongs to another file by now.
void MemoryFile::Remove() const {
  struct stat ours = {};
  struct stat named = {};
  const bool is_there = fstat(fd_, &ours) == 0 && lstat(path_.c_str(), &named) == 0 &&
                        ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
  if (is_there) (void)unlink(path_.c_str());
}

Result<std::vector<std::byte>, std::string> MemoryFile::ReadState() const {
  struct stat facts = {};
  if (fstat(fd_, &facts) != 0) return Failure{Reason("cannot look at it")};
  if (facts.st_size == 0) return Failure{std::string("it is new")};
  // Every reason not to use the state is checked: the format, damage, no orderly stop, a file that
  // was cut short.
  Header header;
  const auto file_bytes = static_cast<std::uint64_t>(facts.st_size);
  if (file_bytes < sizeof header || !ReadAt(fd_, &header, sizeof header, 0)) {
    return Failure{std::string("it is too short")};
  }
  if (header.version != kFormatVersion) {
    return Failure{"its format is " + std::to_string(header.version) + ", not " +
                   std::to_string(kFormatVersion)};
  }
  if (header.checksum != header.Sum()) return Failure{std::string("its header is damaged")};
  if (header.mark != kCleanMark) {
    return Failure{std::string("the server that used it did not stop in order")};
  }
  if (header.state_offset > file_bytes || header.state_bytes > file_bytes - header.state_offset) {
    return Failure{std::string("it was cut short")};
  }
  std::vector<std::byte> state(header.state_bytes);
  if (!ReadAt(fd_, state.data(), state.size(), header.state_offset)) {
    return Failure{Reason("cannot read it")};
  }
  if (Checksum(state.data(), state.size()) != header.state_checksum) {
    return Failure{std::string("its state is damaged")};
  }
  return state;
}

std::string MemoryFile::Prepare(std::uint64_t arena_bytes, std::uint64_t state_bytes_max,
                                const std::function<bool()>& is_cancelled) {
  const std::uint64_t body_bytes = arena_bytes + state_bytes_max;
  struct stat before = {};
  if (fstat(fd_, &before) != 0) return Reason("cannot look at memory file " + path_);
  const std::string need =
      "cannot have " + std::to_string(body_bytes >> 20) + " MiB for memory file " + path_ + " (-e)";
  if (!bytes_before_) bytes_before_ = static_cast<std::uint64_t>(before.st_size);
  // Otherwise only the save at the end would fail, when the mark is long gone.
  if (!MayWrite(kArenaOffset + body_bytes)) return Reason(need, EFBIG);
  // Before the file has a size: whatever happens to this process, the next one can see that the
  // file is larder's.
  if (before.st_size == 0) {
    if (std::string wrong = WriteHeader({}); !wrong.empty()) return wrong;
  }
  // Takes space, but changes no byte of what is there.
  if (const int error = Allocate(fd_, kArenaOffset, body_bytes, is_cancelled); error != 0) {
    return Reason(need, error);
  }
  arena_bytes_ = arena_bytes;
  state_bytes_max_ = state_bytes_max;
  return {};
}

std::string MemoryFile::BeginUse() {
  LARDER_ASSERT(bytes_before_.has_value());
  LARDER_CHECK(arena_bytes_ > 0);
  // Once the mark may be gone, it is no use to give the file the size that it had.
  bytes_before_.reset();
  if (std::string wrong = WriteHeader({}); !wrong.empty()) return wrong;
  if (ftruncate(fd_, static_cast<off_t>(kArenaOffset + arena_bytes_ + state_bytes_max_)) != 0) {
    return Reason("cannot give memory file " + path_ + " its size");
  }
  return {};
}

std::string MemoryFile::MapAt(std::byte* base, std::uint64_t bytes) const {
  LARDER_CHECK(bytes <= arena_bytes_);
  void* mapped = mmap(base, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd_,
                      static_cast<off_t>(kArenaOffset));
  if (mapped == MAP_FAILED) return Reason("cannot map memory file " + path_);
  // Huge pages are only for files in memory (tmpfs). Elsewhere they are of no use, and a write to a
  // huge page would fill the holes of the file.
  struct statfs system = {};
  if (fstatfs(fd_, &system) == 0 && system.f_type == TMPFS_MAGIC) {
    (void)madvise(mapped, bytes, MADV_HUGEPAGE);
  }
  return {};
}

void MemoryFile::PunchHole(std::uint64_t offset, std::uint64_t bytes) const {
  LARDER_ASSERT(offset + bytes <= arena_bytes_);
  // If the file system cannot do it, the space stays taken.
  if (bytes == 0) return;
  (void)fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  static_cast<off_t>(kArenaOffset + offset), static_cast<off_t>(bytes));
}

bool MemoryFile::Back(std::uint64_t offset, std::uint64_t bytes) const {
  LARDER_ASSERT(offset + bytes <= arena_bytes_);
  return Allocate(fd_, kArenaOffset + offset, bytes) == 0;
}

std::string MemoryFile::WriteState(std::span<const std::byte> state, std::byte* base) {
  LARDER_ASSERT(arena_bytes_ > 0 && !bytes_before_.has_value());
  LARDER_CHECK(state.size() <= state_bytes_max_);
  const Header header = [&] {
    Header filled;
    filled.mark = kCleanMark;
    filled.state_offset = kArenaOffset + arena_bytes_;
    filled.state_bytes = state.size();
    filled.state_checksum = Checksum(state.data(), state.size());
    return filled;
  }();
  // The mark is written last, when all that it vouches for is on the disk.
  if (msync(base, arena_bytes_, MS_SYNC) != 0) return Reason("cannot save the items");
  if (!WriteAt(fd_, state.data(), state.size(), header.state_offset) || fdatasync(fd_) != 0) {
    return Reason("cannot save its state");
  }
  return WriteHeader(header);
}

std::string MemoryFile::WriteHeader(const Header& header) const {
  Header whole = header;
  whole.checksum = whole.Sum();
  if (!WriteAt(fd_, &whole, sizeof whole, 0) || fdatasync(fd_) != 0) {
    return Reason("cannot write the header of memory file " + path_);
  }
  return {};
}

}  // namespace larder::slab
