// How a cache is set up.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "slab/engine/page_mover.h"
#include "slab/engine/pause.h"
#include "slab/eviction/eviction_queue.h"

namespace larder::slab {

// See Cache::Create. Threads: a plain value.
struct CacheOptions {
  std::uint64_t memory_bytes = std::uint64_t{64} << 20;  // At least a page.
  std::uint32_t item_bytes_max = 1 << 20;  // Header, key, flags and value of one item.
  std::uint32_t chunk_room_min = 16;       // Smallest room for key, flags and value.
  std::optional<double> growth_factor =
      std::nullopt;  // Chunk sizes in memcached's plain geometric steps.
  bool evict = true;
  EvictionPolicy eviction = EvictionPolicy::kSegmented;
  PageMoves page_moves = PageMoves::kOn;
  bool lock_memory = false;
  bool prefault = false;  // Take all memory at once: items, and an index for small ones.
  bool track_sizes = false;
  std::uint64_t hash_seed = 0;
  std::string_view forbidden_key = {};  // A constant: stores of it are kForbidden. Empty: none.
  // A file that is the memory and keeps the items over a restart; empty: none. Its space is taken
  // at once, and memory_bytes cannot be raised later.
  std::string memory_file = {};
  std::uint32_t now_s = 0;                              // Unix time of a restart.
  std::function<void(const std::string&)> report = {};  // Of a restart: a line; how far it is.
  std::function<void(Moment)> pause = {};  // Tests: called at these moments, with what is locked.
  // Asked now and then while a restart lasts: true ends it.
  std::function<bool()> is_cancelled = {};
};

}  // namespace larder::slab
