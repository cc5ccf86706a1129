// What each page of the arena is used for.
#pragma once

#include <atomic>
#include <cstdint>

#include "slab/check.h"
#include "slab/ids.h"
#include "slab/item/item.h"
#include "slab/memory/arena.h"
#include "slab/memory/zeroed_array.h"

namespace larder::slab {

// State of one page; all zero is a page that was never used.
//
// Threads: caller locks the page's class.
struct Page {
  ItemRef free_head;     // Freed chunks, linked by Item::next.
  std::uint32_t used;    // Chunks that are not free.
  std::uint32_t carved;  // Chunks below this number were handed out once.
  // Neighbours in the class's list of pages with room, as page number + 1; 0: none.
  PageIndex next_listed;
  PageIndex prev_listed;
  bool is_listed;
  bool is_draining;  // Gives out no chunk, and leaves the class with its last one.
};

// An entry per page that the arena can ever hold.
//
// Threads: class_of and set_class: atomic; the class changes only while no chunk of the page is in
//          use, so whoever may touch a chunk reads its class. at(): see Page.
class PageTable {
 public:
  // Check ok(): false when the kernel refuses.
  explicit PageTable(PageIndex capacity)
      : pages_(capacity, HugePages::kNo), classes_(capacity, HugePages::kNo) {}

  bool ok() const { return pages_.ok() && classes_.ok(); }
  Page& at(PageIndex page) const { return pages_[page]; }
  ClassId class_of(PageIndex page) const { return classes_[page].load(std::memory_order_relaxed); }
  void set_class(PageIndex page, ClassId id) const {
    LARDER_ASSERT(id <= kClassesMax);
    classes_[page].store(id, std::memory_order_relaxed);
  }
  // What entries for the first pages take.
  static std::uint64_t BytesFor(PageIndex pages) {
    return std::uint64_t{pages} * (sizeof(Page) + sizeof(ClassId));
  }

 private:
  ZeroedArray<Page> pages_;
  ZeroedArray<std::atomic<ClassId>> classes_;  // Apart and dense: every lookup reads it.
};

}  // namespace larder::slab
