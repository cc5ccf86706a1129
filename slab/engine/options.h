// CacheOptions: how a cache is set up.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "slab/engine/pause.h"
#include "slab/policies.h"

namespace larder::slab {

// CacheOptions are the parameters of Cache::Create.
//
// Threads:    a plain value.
struct CacheOptions {
  // The memory limit: bytes of the arena. At least a page.
  std::uint64_t memory_bytes = std::uint64_t{64} << 20;
  // The largest item in bytes, with header, key, flags, expiry and value.
  std::uint32_t item_bytes_max = 1 << 20;
  // Room for key, flags and value in the smallest chunk, in bytes.
  std::uint32_t chunk_room_min = 16;
  // If given, chunk sizes grow geometrically by this factor, as in memcached; else see SizeLadder.
  std::optional<double> growth_factor = std::nullopt;
  // False: a store fails when memory is full.
  bool evict = true;
  // See EvictionPolicy, and PageMoves.
  EvictionPolicy eviction = EvictionPolicy::kSegmented;
  PageMoves page_moves = PageMoves::kOn;
  // Estimates the miss ratios of other memory limits; see MissRatios.
  bool estimate_miss_ratios = true;
  // Keeps memory in use out of swap.
  bool lock_memory = false;
  // Takes all memory from the system at once: that of the items, and an index for small items.
  bool prefault = false;
  // Counts the sizes of items, for `stats sizes`.
  bool track_sizes = false;
  // Counts items and reads by prefix of the key: what stands before the first delimiter. REQUIRES:
  // the delimiter is not 0.
  bool count_prefixes = false;
  char prefix_delimiter = ':';
  // The prefixes that have a share; see PrefixShares for what is required of them. Only with
  // count_prefixes.
  std::vector<PrefixShare> prefix_shares = {};
  // The seed of the hash of keys; should be random.
  std::uint64_t hash_seed = 0;
  // The most drops of which an item may be left; 0: nothing can be dropped.
  std::uint32_t drops_max = 65'536;
  // A key that is never stored: a view of a constant. Empty: none.
  std::string_view forbidden_key = {};
  // The path of a file that is the memory of the cache and keeps the items over a restart; empty:
  // none. The space of the file is taken at once, and memory_bytes cannot be raised later.
  std::string memory_file = {};
  // Unix time at a restart.
  std::uint32_t now_s = 0;
  // Called during a restart with a line about its progress or result. May be empty.
  std::function<void(const std::string&)> report = {};
  // For tests: called at these moments, with the locks that are held then. May be empty.
  std::function<void(Moment)> pause = {};
  // Asked from time to time during a restart; true ends it. May be empty.
  std::function<bool()> is_cancelled = {};
};

}  // namespace larder::slab
