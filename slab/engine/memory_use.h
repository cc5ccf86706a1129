// MemoryUse: what a cache uses memory for.
#pragma once

#include <cstdint>

namespace larder::slab {

// MemoryUse is the use of memory by purpose, in bytes. In the arena:
//
//   pages handed out   |items|slack|free chunks|page tails|free pages|   some of it untouched
//   beyond             |ahead|not touched ...
//
// so that the arena takes items + slack + free chunks + page tails + free pages + ahead -
// untouched. The parts are read one after the other while the cache is in use, so the sum is
// inexact by what changes meanwhile.
//
// Threads:    a plain value.
struct MemoryUse {
  // Header, key, flags, expiry and value of the linked items.
  std::uint64_t items = 0;
  // The rest of the chunks in use: rounding, and values that are still arriving.
  std::uint64_t slack = 0;
  // Free chunks. Magazines are emptied before they are counted.
  std::uint64_t free_chunks = 0;
  // The end of each page, less than a chunk.
  std::uint64_t page_tails = 0;
  // Pages that no class has.
  std::uint64_t free_pages = 0;
  // Taken from the system before a page of it is needed.
  std::uint64_t ahead = 0;
  // Parts of pages that the system has not backed yet, or has got back.
  std::uint64_t untouched = 0;

  // What items of any size can get before something live goes: the pages below the limit that no
  // class has, and those that classes can spare.
  std::uint64_t room = 0;

  // Outside the arena.

  // Index buckets that are in use.
  std::uint64_t index_used = 0;
  // Index memory that the system has backed: with what is ahead, without what is untouched.
  std::uint64_t index = 0;
  // Ghost tables of all classes.
  std::uint64_t ghosts = 0;
  std::uint64_t removal_records = 0;
  // The prefixes that were dropped.
  std::uint64_t drops = 0;
  // The entries of the pages that were touched.
  std::uint64_t page_table = 0;

  // The memory that the arena takes.
  std::uint64_t arena() const {
    return items + slack + free_chunks + page_tails + free_pages + ahead - untouched;
  }
};

}  // namespace larder::slab
