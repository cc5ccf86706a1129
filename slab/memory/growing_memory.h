// Memory that is used from its front up, and had from the kernel before it is needed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "slab/sync/mutex.h"

namespace larder::slab {

class MemoryWarmer;

// GrowingMemory keeps the kernel's first touch of memory away from those who store: that of a huge
// page takes 0.1 ms, and on a virtual machine whose host has to find the memory first, 5 to 20.
//
//   |in use|ahead: touched by the warmer's thread, given back when growth pauses|untouched|
//
// Threads: internally locked. The warmer's thread alone calls WarmAhead and GiveBackSpare.
// Owns:    nothing: the mapping must outlive the warmer.
class GrowingMemory {
 public:
  // Of `bytes_max` bytes at `base`, a multiple of 4 KiB, none is in use yet. At least `ahead_bytes`
  // are kept ready while the use grows, once there is any.
  GrowingMemory(void* base, std::uint64_t bytes_max, std::uint64_t ahead_bytes)
      : base_(static_cast<std::byte*>(base)), ahead_bytes_(ahead_bytes), bytes_max_(bytes_max) {}
  GrowingMemory(const GrowingMemory&) = delete;
  GrowingMemory& operator=(const GrowingMemory&) = delete;

  // Touches the first bytes now. Without a warmer nothing is touched ahead, nor given back.
  void SetWarmer(MemoryWarmer& warmer) LARDER_EXCLUDES(mutex_);

  // The first `bytes` are about to be used: for good, what is in them is never given back. Quick;
  // call it before the first write to them.
  void Use(std::uint64_t bytes) noexcept LARDER_EXCLUDES(mutex_);

  // Changes how much may be touched.
  void SetMax(std::uint64_t bytes_max) noexcept LARDER_EXCLUDES(mutex_);

  void WarmAhead() noexcept LARDER_EXCLUDES(mutex_);
  void GiveBackSpare() noexcept LARDER_EXCLUDES(mutex_);

 private:
  // The rest of the huge page that is used up to here stays small pages, or may be one again.
  void KeepSmall(std::byte* from) noexcept;
  void AllowHuge() noexcept;

  std::byte* const base_;
  const std::uint64_t ahead_bytes_;
  std::span<std::byte> kept_small_;  // The warmer's thread's.

  Mutex mutex_;  // A leaf: nothing is locked under it.
  MemoryWarmer* warmer_ LARDER_GUARDED_BY(mutex_) = nullptr;
  std::uint64_t bytes_max_ LARDER_GUARDED_BY(mutex_);
  std::uint64_t used_bytes_ LARDER_GUARDED_BY(mutex_) = 0;
  // Written by the warmer's thread only. What is used may be more: nobody waits for the warmer.
  std::uint64_t warm_bytes_ LARDER_GUARDED_BY(mutex_) = 0;
};

}  // namespace larder::slab
