// What a cache has memory for.
#pragma once

#include <cstdint>

namespace larder::slab {

// Of the arena:
//
//   pages handed out   |items|slack|free chunks|page tails|free pages|   some of it untouched
//   beyond             |ahead|not touched ...
//
// so that items + slack + free chunks + page tails + free pages + ahead - untouched is what it
// takes. Read part by part while the cache is at work: to within what changes meanwhile.
struct MemoryUse {
  std::uint64_t items = 0;  // Header, key, flags and value of what is linked.
  std::uint64_t slack = 0;  // All else in chunks that are in use: rounding, values under way.
  std::uint64_t free_chunks = 0;
  std::uint64_t page_tails = 0;  // Less than a chunk, at the end of each page.
  std::uint64_t free_pages = 0;  // Pages that no class has.
  std::uint64_t ahead = 0;       // Had from the system before a page of it is needed.
  std::uint64_t untouched = 0;   // Of pages handed out: what the system has not given, or has back.

  // Outside the arena.
  std::uint64_t index_used = 0;  // Buckets that are in use.
  std::uint64_t index = 0;       // With what is ahead, and less what is untouched.
  std::uint64_t ghosts = 0;
  std::uint64_t removal_records = 0;
  std::uint64_t page_table = 0;

  // What the arena takes.
  std::uint64_t arena() const {
    return items + slack + free_chunks + page_tails + free_pages + ahead - untouched;
  }
};

}  // namespace larder::slab
