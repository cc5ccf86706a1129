// The memory that items live in, handed out in pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "slab/check.h"
#include "slab/ids.h"
#include "slab/memory/growing_memory.h"
#include "slab/result.h"
#include "slab/sync/mutex.h"

namespace larder::slab {

class MemoryFile;
struct Item;

// Arena is one reserved range of addresses, of which at most limit_pages() pages are in use.
//
//   |page 0|page 1| ... |page n| never touched: takes no memory                              |
//
// Inside it an ItemRef takes the place of a pointer: (offset >> unit shift) + 1. The unit is 4
// bytes below 16 GiB and doubles with each doubling beyond, so that 32 bits always suffice.
//
// Threads:    internally locked; At() and RefOf() are immutable.
// Owns:       the address range.
// Invariants: pages_in_use() <= limit_pages(), but while a lowered limit is being enforced.
class Arena {
 public:
  struct Options {
    std::uint64_t limit_bytes = 0;  // At least one page.
    bool lock_memory = false;       // Keep what is in use out of swap: fault pages in when taken.
    bool prefault = false;          // Take all memory from the system at once.
    // The memory is this file's instead of the system's, and can never be more. Prepared for
    // limit_bytes in whole pages; must outlive the arena.
    MemoryFile* file = nullptr;
  };

  // Fails with the system's reason when the range cannot be reserved.
  static Result<std::unique_ptr<Arena>, std::string> Create(const Options& options);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // REQUIRES: ref is not kNoItem.
  Item& At(ItemRef ref) const {
    LARDER_ASSERT(ref != kNoItem);
    LARDER_ASSERT(PageOf(ref) < capacity_pages_);
    return *reinterpret_cast<Item*>(origin_ + (std::uint64_t{ref} << unit_shift_));
  }
  // REQUIRES: a chunk of this arena.
  ItemRef RefOf(const void* chunk) const {
    LARDER_ASSERT(PageOf(chunk) < capacity_pages_);
    return static_cast<ItemRef>(
        static_cast<std::uint64_t>(static_cast<const std::byte*>(chunk) - origin_) >> unit_shift_);
  }
  PageIndex PageOf(ItemRef ref) const {
    return static_cast<PageIndex>(((std::uint64_t{ref} - 1) << unit_shift_) >> kPageShift);
  }
  // The same from an address: three instructions.
  PageIndex PageOf(const void* chunk) const {
    return static_cast<PageIndex>(
        static_cast<std::uint64_t>(static_cast<const std::byte*>(chunk) - base_) >> kPageShift);
  }
  std::byte* PageAt(PageIndex page) const { return base_ + (std::uint64_t{page} << kPageShift); }

  // Chunks begin at multiples of this.
  std::size_t unit_bytes() const { return std::size_t{1} << unit_shift_; }
  // The most pages that the reserved range can ever hold.
  PageIndex capacity_pages() const { return capacity_pages_; }

  // A page of undefined contents, or nothing when the limit is reached.
  std::optional<PageIndex> Take() LARDER_EXCLUDES(mutex_);
  // Gives the page's memory back, to the kernel or the file system, if more pages are in use than
  // the limit allows.
  void Return(PageIndex page) LARDER_EXCLUDES(mutex_);

  // False when `bytes` is less than a page or more than the reserved range.
  [[nodiscard]] bool SetLimit(std::uint64_t bytes) LARDER_EXCLUDES(mutex_);
  PageIndex limit_pages() const LARDER_EXCLUDES(mutex_);
  std::uint64_t limit_bytes() const LARDER_EXCLUDES(mutex_);
  PageIndex pages_in_use() const LARDER_EXCLUDES(mutex_);
  // Returned pages that wait to be taken again.
  PageIndex free_pages() const LARDER_EXCLUDES(mutex_);
  // Pages from this number on were never handed out.
  PageIndex touched_pages() const LARDER_EXCLUDES(mutex_);

  // For a restart: the pages below `touched` are as they were, in use but for those in `free`.
  // REQUIRES: no page was taken yet; touched <= capacity_pages(), and above all in `free`.
  void Restore(PageIndex touched, std::vector<PageIndex> free) LARDER_EXCLUDES(mutex_);

  // For a MemoryWarmer. REQUIRES: created without `prefault` and without a file.
  GrowingMemory& growing() { return growing_; }

 private:
  Arena(std::byte* base, std::uint64_t reserved_bytes, unsigned unit_shift, const Options& options);
  // Gives the memory of a page that is not in use back.
  void GiveBack(PageIndex page) LARDER_REQUIRES(mutex_);

  std::byte* const base_;
  std::byte* const origin_;  // base_ less one unit: where reference 0 would point.
  const std::uint64_t reserved_bytes_;
  const unsigned unit_shift_;
  const PageIndex capacity_pages_;
  const bool lock_memory_;
  MemoryFile* const file_;  // None: the memory is the system's.
  GrowingMemory growing_;

  mutable Mutex mutex_;
  std::uint64_t limit_bytes_ LARDER_GUARDED_BY(mutex_);
  PageIndex pages_in_use_ LARDER_GUARDED_BY(mutex_) = 0;
  PageIndex pages_touched_ LARDER_GUARDED_BY(mutex_) = 0;  // Pages below were handed out once.
  std::vector<PageIndex> returned_ LARDER_GUARDED_BY(mutex_);
  bool may_have_holes_ LARDER_GUARDED_BY(mutex_) = false;  // Pages of the file without space.
};

}  // namespace larder::slab
