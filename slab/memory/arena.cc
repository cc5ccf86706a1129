#include "slab/memory/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "slab/check.h"
#include "slab/memory/memory_file.h"
#include "slab/memory/zeroed_array.h"

namespace larder::slab {
namespace {

// The smallest unit of references is 2^2 bytes.
constexpr unsigned kUnitShiftMin = 2;
// What references can address with the smallest unit. This range is reserved as a whole, so that
// the limit can be raised while the server runs; addresses that are never touched cost nothing.
constexpr std::uint64_t kReservedBytesMin = std::uint64_t{1} << (32 + kUnitShiftMin);
// How much is touched ahead of need. A thread that stores as fast as it can fills a huge page in 5
// ms or more, which is the time that the warmer usually takes for one.
constexpr std::uint64_t kAheadBytes = std::uint64_t{4} << 20;

}  // namespace

Result<std::unique_ptr<Arena>, std::string> Arena::Create(const Options& options) {
  LARDER_ASSERT(options.limit_bytes >= kPageBytes);
  // The smallest unit with which 32-bit references reach the whole range.
  unsigned unit_shift = kUnitShiftMin;
  while ((std::uint64_t{1} << (32 + unit_shift)) <= options.limit_bytes) ++unit_shift;

  // Reserve addresses without memory, with some to spare to align the range to huge pages.
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  std::uint64_t reserved = options.file != nullptr
                               ? options.limit_bytes >> kPageShift << kPageShift
                               : std::max(options.limit_bytes, kReservedBytesMin - kHugePageBytes);
  void* range = MAP_FAILED;
  for (;;) {
    range = mmap(nullptr, reserved + kHugePageBytes, PROT_NONE, kFlags, -1, 0);
    if (range != MAP_FAILED || reserved <= options.limit_bytes) break;
    // Address space is limited: give up the possibility to raise the limit.
    reserved = options.limit_bytes;
  }
  if (range == MAP_FAILED) {
    return Failure{std::string("cannot reserve memory for items: ") + std::strerror(errno)};
  }
  // Cut off what is before the first and behind the last huge page.
  const std::uint64_t misaligned = reinterpret_cast<std::uintptr_t>(range) % kHugePageBytes;
  auto* base = static_cast<std::byte*>(range) + (misaligned == 0 ? 0 : kHugePageBytes - misaligned);
  munmap(range, static_cast<std::size_t>(base - static_cast<std::byte*>(range)));
  munmap(base + reserved, misaligned == 0 ? kHugePageBytes : misaligned);
  // Make the range usable: by the mapping of the file, or by allowing access up to the limit.
  if (options.file != nullptr) {
    if (std::string wrong = options.file->MapAt(base, reserved); !wrong.empty()) {
      munmap(base, reserved);
      return Failure{std::move(wrong)};
    }
  } else if (mprotect(base, options.limit_bytes, PROT_READ | PROT_WRITE) != 0) {
    const int reason = errno;
    munmap(base, reserved);
    return Failure{std::string("cannot use memory for items: ") + std::strerror(reason)};
  }
  // Measured 1.3-1.5 times faster lookups from a million items up; a refusal costs only speed.
  if (options.file == nullptr) (void)madvise(base, reserved, MADV_HUGEPAGE);
  if (options.prefault && options.file == nullptr) Prefault(base, options.limit_bytes);
  if (options.prefault && options.file != nullptr) (void)Populate(base, reserved);
  return std::unique_ptr<Arena>(new Arena(base, reserved, unit_shift, options));
}

Arena::Arena(std::byte* base, std::uint64_t reserved_bytes, unsigned unit_shift,
             const Options& options)
    : base_(base),
      origin_(base - (std::size_t{1} << unit_shift)),
      reserved_bytes_(reserved_bytes),
      unit_shift_(unit_shift),
      capacity_pages_(static_cast<PageIndex>(reserved_bytes >> kPageShift)),
      lock_memory_(options.lock_memory),
      file_(options.file),
      growing_(base, options.limit_bytes, kAheadBytes),
      limit_bytes_(options.limit_bytes) {}

Arena::~Arena() { munmap(base_, reserved_bytes_); }

std::optional<PageIndex> Arena::Take() {
  const MutexLock lock(mutex_);
  if (pages_in_use_ >= limit_bytes_ >> kPageShift) return std::nullopt;
  ++pages_in_use_;
  PageIndex page = 0;
  // Returned pages first, so that as little of the range as possible is touched.
  if (!returned_.empty()) {
    page = returned_.back();
    returned_.pop_back();
  } else {
    LARDER_CHECK(pages_touched_ < capacity_pages_);
    page = pages_touched_++;
    growing_.Use(std::uint64_t{pages_touched_} << kPageShift);
  }
  if (may_have_holes_ && !file_->Back(std::uint64_t{page} << kPageShift, kPageBytes)) {
    // The file has a hole there and the file system has no space left. An access to the page would
    // end the process.
    --pages_in_use_;
    returned_.push_back(page);
    return std::nullopt;
  }
  if (lock_memory_) (void)mlock2(PageAt(page), kPageBytes, MLOCK_ONFAULT);
  return page;
}

void Arena::Return(PageIndex page) {
  const MutexLock lock(mutex_);
  LARDER_CHECK(pages_in_use_ > 0);
  LARDER_ASSERT(page < pages_touched_);
  LARDER_ASSERT(std::ranges::find(returned_, page) == returned_.end());
  // Above the limit the memory itself is given back, not only the page.
  if (pages_in_use_ > limit_bytes_ >> kPageShift) GiveBack(page);
  --pages_in_use_;
  returned_.push_back(page);
}

bool Arena::SetLimit(std::uint64_t bytes) {
  if (bytes < kPageBytes || bytes > reserved_bytes_) return false;
  const MutexLock lock(mutex_);
  // Pages that were handed out stay accessible when the limit is lowered, so access is only changed
  // to raise the limit.
  if (file_ == nullptr && mprotect(base_, bytes, PROT_READ | PROT_WRITE) != 0) return false;
  if (bytes < limit_bytes_) {
    for (const PageIndex page : returned_) GiveBack(page);
    if (file_ != nullptr) {
      // Memory of the system is not taken before it is touched, but the space of a file is: give
      // back what is not used yet.
      const std::uint64_t touched_bytes = std::uint64_t{pages_touched_} << kPageShift;
      may_have_holes_ = true;
      file_->PunchHole(touched_bytes, reserved_bytes_ - touched_bytes);
    }
  }
  limit_bytes_ = bytes;
  growing_.SetMax(bytes);
  return true;
}

void Arena::GiveBack(PageIndex page) {
  LARDER_ASSERT(page < pages_touched_);
  // The kernel refuses to take locked memory back, so the page is unlocked first.
  if (lock_memory_) (void)munlock(PageAt(page), kPageBytes);
  if (file_ == nullptr) {
    (void)madvise(PageAt(page), kPageBytes, MADV_DONTNEED);
    return;
  }
  may_have_holes_ = true;
  file_->PunchHole(std::uint64_t{page} << kPageShift, kPageBytes);
}

void Arena::Restore(PageIndex touched, std::vector<PageIndex> free) {
  const MutexLock lock(mutex_);
  LARDER_CHECK(pages_touched_ == 0 && touched <= capacity_pages_ && free.size() <= touched);
  pages_touched_ = touched;
  pages_in_use_ = touched - static_cast<PageIndex>(free.size());
  returned_ = std::move(free);
  LARDER_ASSERT(std::ranges::all_of(returned_, [&](PageIndex page) { return page < touched; }));
  growing_.Use(std::uint64_t{touched} << kPageShift);
  // Take() locks each page into memory, but these pages were taken by the process before.
  if (!lock_memory_) return;
  for (PageIndex page = 0; page < touched; ++page) {
    (void)mlock2(PageAt(page), kPageBytes, MLOCK_ONFAULT);
  }
}

PageIndex Arena::limit_pages() const {
  const MutexLock lock(mutex_);
  return static_cast<PageIndex>(limit_bytes_ >> kPageShift);
}

std::uint64_t Arena::limit_bytes() const {
  const MutexLock lock(mutex_);
  return limit_bytes_;
}

PageIndex Arena::pages_in_use() const {
  const MutexLock lock(mutex_);
  return pages_in_use_;
}

PageIndex Arena::free_pages() const {
  const MutexLock lock(mutex_);
  return static_cast<PageIndex>(returned_.size());
}

PageIndex Arena::touched_pages() const {
  const MutexLock lock(mutex_);
  return pages_touched_;
}

}  // namespace larder::slab
