#include "slab/memory/growing_memory.h"

#include <sys/mman.h>

#include <algorithm>

#include "slab/memory/memory_warmer.h"
#include "slab/memory/zeroed_array.h"

namespace larder::slab {
namespace {

// The kernel's unit of memory, without huge pages.
constexpr std::uint64_t kSmallPageBytes = 4096;

// The smallest multiple of `unit` that is not less than `bytes`.
constexpr std::uint64_t RoundUp(std::uint64_t bytes, std::uint64_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

}  // namespace

void GrowingMemory::SetWarmer(MemoryWarmer& warmer) {
  {
    const MutexLock lock(mutex_);
    warmer_ = &warmer;
    // The first small page is touched at once, so that the first store does not wait.
    if (!Populate(base_, kSmallPageBytes)) return;
    // The kernel may have used a huge page for it.
    warm_bytes_ = std::min<std::uint64_t>(bytes_max_, kHugePageBytes);
  }
  GiveBackSpare();
}

void GrowingMemory::Use(std::uint64_t bytes) noexcept {
  const MutexLock lock(mutex_);
  used_bytes_ = std::max(used_bytes_, bytes);
  // Ask the warmer if less than ahead_bytes_ behind the used part is ready.
  if (warmer_ != nullptr && warm_bytes_ < std::min(bytes_max_, used_bytes_ + ahead_bytes_)) {
    warmer_->Ask();
  }
}

void GrowingMemory::SetMax(std::uint64_t bytes_max) noexcept {
  const MutexLock lock(mutex_);
  bytes_max_ = bytes_max;
}

void GrowingMemory::WarmAhead() noexcept {
  for (;;) {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    {
      const MutexLock lock(mutex_);
      if (used_bytes_ == 0) return;
      begin = std::max(warm_bytes_, RoundUp(used_bytes_, kSmallPageBytes));
      if (begin >= std::min(bytes_max_, used_bytes_ + ahead_bytes_)) return;
      // One huge page at a time: up to the end of the one that `begin` lies in.
      end = std::min(bytes_max_, (begin / kHugePageBytes + 1) * kHugePageBytes);
    }
    // Without the lock, because it takes long. It writes nothing, so other threads may use the
    // memory meanwhile.
    AllowHuge();
    const bool is_done = Populate(base_ + begin, end - begin);
    const MutexLock lock(mutex_);
    warm_bytes_ = end;
    if (is_done) continue;
    // An old kernel, or no memory left: stop. The thread that uses the memory will wait for the
    // kernel itself.
    warmer_ = nullptr;
    return;
  }
}

void GrowingMemory::GiveBackSpare() noexcept {
  // One small page stays ready. The rest of a huge page that is partly used must become small
  // pages: a thread that uses it before the warmer does waits for 4 KiB, not for 2 MiB. And the
  // kernel must not make it a huge page again, because that would take memory for all of it.
  std::uint64_t kept = 0;
  {
    const MutexLock lock(mutex_);
    kept = RoundUp(used_bytes_, kSmallPageBytes) + kSmallPageBytes;
    if (warm_bytes_ <= kept) return;
    (void)madvise(base_ + kept, warm_bytes_ - kept, MADV_DONTNEED);
    warm_bytes_ = kept;
  }
  // Not under the lock, because a store may wait for the lock.
  KeepSmall(base_ + kept);
}

void GrowingMemory::KeepSmall(std::byte* from) noexcept {
  AllowHuge();
  // Bytes before `from` in its huge page.
  const std::uint64_t behind = reinterpret_cast<std::uintptr_t>(from) % kHugePageBytes;
  if (behind == 0) return;
  kept_small_ = {from, kHugePageBytes - behind};
  (void)madvise(kept_small_.data(), kept_small_.size(), MADV_NOHUGEPAGE);
}

void GrowingMemory::AllowHuge() noexcept {
  if (kept_small_.empty()) return;
  (void)madvise(kept_small_.data(), kept_small_.size(), MADV_HUGEPAGE);
  kept_small_ = {};
}

}  // namespace larder::slab
