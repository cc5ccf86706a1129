// CacheSnapshot: what a cache saves besides its arena, and how it is restored.
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
  // The time of the stop by the server's own clock.
  std::uint32_t now_s = 0;
  // As in Now.
  std::int32_t wall_ahead_s = 0;
  // When a delayed flush is due; never if there is none.
  Expiry flush_due = {};
};

// CacheSnapshot turns the state of a cache that no thread uses into bytes, and turns an empty cache
// on the same arena back into that cache.
//
//   |head: sizes, limits, CAS counters|a record per class: its queue|a record per page: its class|
//
// Everything else is in the arena: the headers of chunks show which are free and which keys the
// items have. A restore reads them in the order of their addresses. Ghosts and statistics start
// from zero.
//
// Nothing that is read is trusted. A digest of everything in front of the values finds accidental
// damage. A state that was wrong already when it was saved has a right digest; the checks of every
// size and reference find it.
//
// Threads:    one thread, and no other thread may use the cache.
class CacheSnapshot {
 public:
  // The most bytes of the state of any cache that can have this many pages.
  static std::size_t BytesMax(PageIndex capacity_pages);

  // Returns the state. Fails with the reason if the cache must not be saved, because an item is
  // reserved or pinned. Afterwards the times of items are by the clock of the next process, and the
  // cache may only be destroyed.
  static Result<std::vector<std::byte>, std::string> Take(Engine& engine,
                                                          const SavedMoment& moment);

  // Restores a saved state, and returns what was saved besides the items. Fails with the reason why
  // this state does not become a cache with these options; then the cache may only be destroyed.
  // `report` is called with a line of progress now and then. Changes nothing in the arena but links
  // between free chunks, so a restore may be interrupted at any moment and repeated. REQUIRES: the
  // cache is empty and was never used.
  static Result<SavedMoment, std::string> Restore(
      Engine& engine, std::span<const std::byte> state, const CacheOptions& options,
      const std::function<void(const std::string&)>& report);
};

}  // namespace larder::slab
