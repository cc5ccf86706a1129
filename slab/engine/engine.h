// The parts of a cache, put together.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "slab/classes/slab_classes.h"
#include "slab/engine/admission.h"
#include "slab/engine/census.h"
#include "slab/engine/chunk_allocator.h"
#include "slab/engine/deleter.h"
#include "slab/engine/growth.h"
#include "slab/engine/item_handle.h"
#include "slab/engine/lanes.h"
#include "slab/engine/linker.h"
#include "slab/engine/liveness.h"
#include "slab/engine/lookup.h"
#include "slab/engine/magazines.h"
#include "slab/engine/options.h"
#include "slab/engine/page_mover.h"
#include "slab/engine/pause.h"
#include "slab/engine/reserver.h"
#include "slab/engine/storer.h"
#include "slab/engine/unlinker.h"
#include "slab/engine/usage.h"
#include "slab/engine/versions.h"
#include "slab/engine/walker.h"
#include "slab/eviction/removal_records.h"
#include "slab/ids.h"
#include "slab/index/index.h"
#include "slab/item/expiry.h"
#include "slab/item/hash.h"
#include "slab/memory/arena.h"
#include "slab/memory/memory_file.h"
#include "slab/memory/memory_warmer.h"
#include "slab/result.h"
#include "slab/sync/mutex.h"

namespace larder::slab {

// What a cache stands on, all of which can fail to be had.
struct Foundation {
  std::unique_ptr<MemoryFile> memory_file;  // None: the memory is the system's.
  std::unique_ptr<Arena> arena;
  std::unique_ptr<Index> index;
  SizeLadder ladder;
  PageTable page_table;

  // For an empty cache. The file, if there is one, is prepared. Fails with the system's reason.
  static Result<Foundation, std::string> Make(const CacheOptions& options,
                                              std::unique_ptr<MemoryFile> memory_file);
};

// Engine is the parts of a cache, each below those that use it; what a part may call stands in its
// constructor. What goes beyond one part is in slab/cache.h.
//
// Threads: see the parts. Lock order: page mover, bucket, class, arena; whoever holds a class only
//          tries buckets; nobody holds two classes or two buckets.
// Owns:    all of it. Must outlive its handles and reserved items.
class Engine {
 public:
  // Throws std::system_error when no thread can be started. Check is_whole().
  Engine(const CacheOptions& options, Foundation foundation);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // False when the kernel refused memory for the removal records.
  bool is_whole() const { return removal_records.ok(); }

  const KeyHasher hash;
  const Pause pause;
  std::unique_ptr<MemoryFile> memory_file;  // Constant but for a restart that fails.
  const std::unique_ptr<Arena> arena;
  const std::unique_ptr<Index> index;
  const SlabClasses classes;
  const Admission admission;

  Lanes lanes;
  Versions versions;
  const Liveness liveness;
  RemovalRecords removal_records;
  Pins pins;
  const Magazines magazines;
  Usage usage;
  Unlinker unlinker;
  Lookup lookup;
  ChunkAllocator allocator;
  PageMoveCounters page_move_counters;
  PageMover page_mover;
  Reserver reserver;
  Linker linker;
  Growth growth;
  Deleter deleter;
  Storer storer;
  Walker walker;
  Census census;

  // Of a restart, until BeginUse: items to be given a time long past.
  std::vector<ItemRef> restored_expired;
  Expiry restored_flush_due;  // Constant once created.

  // False when out of bounds.
  [[nodiscard]] bool SetMemoryLimit(std::uint64_t bytes) LARDER_EXCLUDES(limit_mutex_);

 private:
  // What the warmer looks after.
  std::vector<GrowingMemory*> Growing();

  Mutex limit_mutex_;  // Held by the one who changes the memory limit; before the arena's.
  // None when all memory was taken at the start.
  const std::unique_ptr<MemoryWarmer> warmer_;
};

}  // namespace larder::slab
