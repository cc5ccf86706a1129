// Arena: the memory that items live in, handed out in pages.
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
// Within the arena an ItemRef takes the place of a pointer: (offset >> unit shift) + 1. The unit is
// 4 bytes below 16 GiB and doubles with each doubling beyond, so that 32 bits always suffice.
//
// Threads:    internally locked; At(), RefOf(), PageOf() and PageAt() are immutable.
// Owns:       the address range. The memory file, if there is one, must outlive it.
// Invariants: pages_in_use() <= limit_pages(), except while a lowered limit is being enforced.
class Arena {
 public:
  struct Options {
    // The most memory in use. REQUIRES: at least one page.
    std::uint64_t limit_bytes = 0;
    // Locks pages into memory as they are taken, so that they are not swapped out.
    bool lock_memory = false;
    // Takes all memory from the system at once.
    bool prefault = false;
    // Not nullptr: the memory is that of this file, and the limit can never be raised. REQUIRES:
    // the file is prepared for limit_bytes in whole pages, and outlives the arena.
    MemoryFile* file = nullptr;
  };

  // Reserves the range. Fails with the system's reason if it cannot be reserved or mapped.
  static Result<std::unique_ptr<Arena>, std::string> Create(const Options& options);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // The chunk that a reference names. REQUIRES: ref is not kNoItem, and names a chunk of this
  // arena.
  Item& At(ItemRef ref) const {
    LARDER_ASSERT(ref != kNoItem);
    LARDER_ASSERT(PageOf(ref) < capacity_pages_);
    return *reinterpret_cast<Item*>(origin_ + (std::uint64_t{ref} << unit_shift_));
  }
  // The reference that names a chunk. REQUIRES: a chunk of this arena.
  ItemRef RefOf(const void* chunk) const {
    LARDER_ASSERT(PageOf(chunk) < capacity_pages_);
    return static_cast<ItemRef>(
        static_cast<std::uint64_t>(static_cast<const std::byte*>(chunk) - origin_) >> unit_shift_);
  }
  // The page that a chunk lies in. REQUIRES: ref is not kNoItem.
  PageIndex PageOf(ItemRef ref) const {
    LARDER_ASSERT(ref != kNoItem);
    return static_cast<PageIndex>(((std::uint64_t{ref} - 1) << unit_shift_) >> kPageShift);
  }
  // The page that an address lies in: three instructions.
  PageIndex PageOf(const void* chunk) const {
    return static_cast<PageIndex>(
        static_cast<std::uint64_t>(static_cast<const std::byte*>(chunk) - base_) >> kPageShift);
  }
  // The first byte of a page.
  std::byte* PageAt(PageIndex page) const { return base_ + (std::uint64_t{page} << kPageShift); }

  // The unit of references: chunks begin at multiples of it.
  std::size_t unit_bytes() const { return std::size_t{1} << unit_shift_; }
  // The most pages that the reserved range can ever hold.
  PageIndex capacity_pages() const { return capacity_pages_; }

  // Takes a page, whose contents are undefined. Returns nothing if the limit is reached, or if the
  // memory file cannot get the space for the page.
  std::optional<PageIndex> Take() LARDER_EXCLUDES(mutex_);
  // Returns a page that is no longer used. If more pages are in use than the limit allows, the
  // page's memory goes back to the system, or to the file system. REQUIRES: the caller owns the
  // page.
  void Return(PageIndex page) LARDER_EXCLUDES(mutex_);

  // Changes the limit. Returns false, and changes nothing, if `bytes` is less than a page or more
  // than the reserved range, or if the system refuses. A lowered limit takes effect as pages are
  // returned.
  [[nodiscard]] bool SetLimit(std::uint64_t bytes) LARDER_EXCLUDES(mutex_);
  // The limit, in pages and bytes.
  PageIndex limit_pages() const LARDER_EXCLUDES(mutex_);
  std::uint64_t limit_bytes() const LARDER_EXCLUDES(mutex_);
  // Pages that were taken and not returned.
  PageIndex pages_in_use() const LARDER_EXCLUDES(mutex_);
  // Pages that were returned and can be taken again.
  PageIndex free_pages() const LARDER_EXCLUDES(mutex_);
  // Pages from this number on were never handed out.
  PageIndex touched_pages() const LARDER_EXCLUDES(mutex_);

  // Restores the state of an arena on a file: the pages below `touched` are in use, except those in
  // `free`. REQUIRES: no page was taken yet; touched <= capacity_pages(), and all pages in `free`
  // are below `touched`.
  void Restore(PageIndex touched, std::vector<PageIndex> free) LARDER_EXCLUDES(mutex_);

  // The memory of the arena, for a MemoryWarmer. REQUIRES: the arena was created without `prefault`
  // and without a file.
  GrowingMemory& growing() { return growing_; }

 private:
  Arena(std::byte* base, std::uint64_t reserved_bytes, unsigned unit_shift, const Options& options);
  // Gives back the memory of a page that is not in use.
  void GiveBack(PageIndex page) LARDER_REQUIRES(mutex_);

  std::byte* const base_;
  // base_ less one unit: the address that reference 0 would name.
  std::byte* const origin_;
  const std::uint64_t reserved_bytes_;
  const unsigned unit_shift_;
  const PageIndex capacity_pages_;
  const bool lock_memory_;
  // nullptr: the memory is the system's.
  MemoryFile* const file_;
  GrowingMemory growing_;

  mutable Mutex mutex_;
  std::uint64_t limit_bytes_ LARDER_GUARDED_BY(mutex_);
  PageIndex pages_in_use_ LARDER_GUARDED_BY(mutex_) = 0;
  // Pages with a smaller number were handed out at least once.
  PageIndex pages_touched_ LARDER_GUARDED_BY(mutex_) = 0;
  // Pages that were returned and not taken again.
  std::vector<PageIndex> returned_ LARDER_GUARDED_BY(mutex_);
  // The file may have pages without space, so that the space has to be taken again before use.
  bool may_have_holes_ LARDER_GUARDED_BY(mutex_) = false;
};

}  // namespace larder::slab
