// PageTable: which class each page of the arena belongs to, and how full the page is.
#pragma once

#include <atomic>
#include <cstdint>

#include "slab/check.h"
#include "slab/ids.h"
#include "slab/item/item.h"
#include "slab/memory/arena.h"
#include "slab/memory/zeroed_array.h"
#include "slab/sync/atomic.h"

namespace larder::slab {

// The state of one page. All bytes zero is a page that was never used.
//
// Threads: caller locks the page's class.
struct Page {
  // First of the page's free chunks, which are linked by Item::next; kNoItem: none.
  ItemRef free_head;
  // Chunks that are not free: in use, or in a magazine.
  std::uint32_t used;
  // Chunks with a smaller number were handed out at least once; the others have no header yet.
  std::uint32_t carved;
  // The neighbours in the class's list of pages with free chunks, as page number + 1; 0: none.
  PageIndex next_listed;
  PageIndex prev_listed;
  // The page is in that list.
  bool is_listed;
  // The page is being emptied: it gives out no chunk, and leaves the class with its last chunk.
  bool is_draining;
};

// PageTable has one entry for each page that the arena can ever hold.
//
// Threads:    atomic for class_of and set_class. The class of a page changes only while no chunk of
//             the page is in use, so a thread that may access a chunk can read the chunk's class
//             without a lock. at(): see Page.
// Owns:       the table; memory is used only for pages that were touched.
class PageTable {
 public:
  // REQUIRES: the caller checks ok() before use: it is false if the kernel refused the memory.
  explicit PageTable(PageIndex capacity)
      : pages_(capacity, HugePages::kNo), classes_(capacity, HugePages::kNo) {}

  bool ok() const { return pages_.ok() && classes_.ok(); }
  Page& at(PageIndex page) const { return pages_[page]; }
  // The class of the page; 0 if it belongs to no class.
  ClassId class_of(PageIndex page) const { return classes_[page].load(std::memory_order_relaxed); }
  // REQUIRES: the caller holds the lock of the class that gets or loses the page, or no other
  // thread uses the cache.
  void set_class(PageIndex page, ClassId id) const {
    LARDER_ASSERT(id <= kClassesMax);
    classes_[page].store(id, std::memory_order_relaxed);
  }
  // Bytes that the entries for the first `pages` pages take.
  static std::uint64_t BytesFor(PageIndex pages) {
    return std::uint64_t{pages} * (sizeof(Page) + sizeof(ClassId));
  }

 private:
  ZeroedArray<Page> pages_;
  // Apart from pages_ and dense, because every lookup reads it.
  ZeroedArray<Atomic<ClassId>> classes_;
};

}  // namespace larder::slab
