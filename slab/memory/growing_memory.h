// GrowingMemory: memory that is used from its beginning up, and taken from the kernel before it is
// needed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "slab/check.h"
#include "slab/sync/mutex.h"

namespace larder::slab {

class MemoryWarmer;

// GrowingMemory makes sure that threads that store do not have to wait for the kernel when they
// touch memory for the first time. The first touch of a huge page takes 0.1 ms, and 5 to 20 on a
// virtual machine whose host has to find the memory first.
//
//   |in use|ahead: touched by the warmer's thread, given back when growth pauses|untouched|
//
// Threads:    internally locked. Only the warmer's thread calls WarmAhead and GiveBackSpare.
// Owns:       nothing. The mapping must outlive the warmer.
// Invariants: memory below used_bytes_ is never given back.
class GrowingMemory {
 public:
  // Describes `bytes_max` bytes at `base`, none of which is in use yet. Once some are in use, at
  // least `ahead_bytes` are kept ready while the use grows. REQUIRES: `base` is a multiple of 4
  // KiB.
  GrowingMemory(void* base, std::uint64_t bytes_max, std::uint64_t ahead_bytes)
      : base_(static_cast<std::byte*>(base)), ahead_bytes_(ahead_bytes), bytes_max_(bytes_max) {
    LARDER_ASSERT(reinterpret_cast<std::uintptr_t>(base) % 4096 == 0);
  }
  GrowingMemory(const GrowingMemory&) = delete;
  GrowingMemory& operator=(const GrowingMemory&) = delete;

  // Sets the warmer, and touches the first bytes now. Without a warmer nothing is touched ahead of
  // need and nothing is given back.
  void SetWarmer(MemoryWarmer& warmer) LARDER_EXCLUDES(mutex_);

  // Announces that the first `bytes` bytes are about to be used. They stay in use: they are never
  // given back. Quick. REQUIRES: called before the first write to them.
  void Use(std::uint64_t bytes) noexcept LARDER_EXCLUDES(mutex_);

  // Changes how many bytes may be touched.
  void SetMax(std::uint64_t bytes_max) noexcept LARDER_EXCLUDES(mutex_);

  // Touches memory until ahead_bytes_ are ready. For the warmer's thread.
  void WarmAhead() noexcept LARDER_EXCLUDES(mutex_);
  // Gives the memory that is ready and not in use back to the kernel. For the warmer's thread.
  void GiveBackSpare() noexcept LARDER_EXCLUDES(mutex_);

 private:
  // KeepSmall makes the kernel use small pages from `from` to the end of its huge page; AllowHuge
  // undoes that.
  void KeepSmall(std::byte* from) noexcept;
  void AllowHuge() noexcept;

  std::byte* const base_;
  const std::uint64_t ahead_bytes_;
  // The range that KeepSmall has set. For the warmer's thread only.
  std::span<std::byte> kept_small_;

  // No other lock is taken while it is held.
  Mutex mutex_;
  // nullptr: no warmer, or the kernel cannot do it.
  MemoryWarmer* warmer_ LARDER_GUARDED_BY(mutex_) = nullptr;
  std::uint64_t bytes_max_ LARDER_GUARDED_BY(mutex_);
  // Bytes from the beginning that are in use.
  std::uint64_t used_bytes_ LARDER_GUARDED_BY(mutex_) = 0;
  // Bytes from the beginning that are ready. Written only by the warmer's thread. More may be in
  // use, because no thread waits for the warmer.
  std::uint64_t warm_bytes_ LARDER_GUARDED_BY(mutex_) = 0;
};

}  // namespace larder::slab
