// What a cache saves besides its arena, and how it becomes itself again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "slab/engine/engine.h"
#include "slab/ids.h"
#include "slab/item/expiry.h"
#include "slab/result.h"

namespace larder::slab {

// State saved across restarts besides the items.
struct SavedMoment {
  std::uint32_t now_s = 0;        // By the server's own clock.
  std::int32_t wall_ahead_s = 0;  // As in Now.
  Expiry flush_due = {};          // A flush that is still to come.
};

// CacheSnapshot turns the state of a cache that nobody uses into bytes, and an empty cache on the
// same arena back into it.
//
//   |head: sizes, limits, CAS counters|a record per class: its queue|a record per page: its class|
//
// The rest is in the arena: the heads of chunks say which are free, and items which key they have.
// They are read in the order of their addresses. Ghosts and statistics begin anew.
//
// Nothing that is read is trusted. A digest of all but the values finds accidents; what it cannot
// know of, a state that was broken already when it was saved, the checks of every size and
// reference find.
//
// Threads: one, and no other may use the cache.
class CacheSnapshot {
 public:
  // Of the state of any cache that can have so many pages.
  static std::size_t BytesMax(PageIndex capacity_pages);

  // Fails with the reason when the cache must not be saved: something in it is reserved or pinned.
  // Afterwards the times of items are those for the next process, and nobody may use the cache.
  static Result<std::vector<std::byte>, std::string> Take(Engine& engine,
                                                          const SavedMoment& moment);

  // Fails with the reason why this state does not become a cache of these options: then the cache
  // may only be destroyed. `report` gets a line now and then. Changes nothing in the arena but
  // links between free chunks, so that it may end at any moment, and be done again.
  // REQUIRES: the cache is empty, and was never used.
  static Result<SavedMoment, std::string> Restore(
      Engine& engine, std::span<const std::byte> state, const CacheOptions& options,
      const std::function<void(const std::string&)>& report);
};

}  // namespace larder::slab
