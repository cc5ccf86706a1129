// Engine: the parts of a cache, put together.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "slab/classes/slab_classes.h"
#include "slab/engine/admission.h"
#include "slab/engine/census.h"
#include "slab/engine/chunk_allocator.h"
#include "slab/engine/class_opening.h"
#include "slab/engine/deleter.h"
#include "slab/engine/drop_purge.h"
#include "slab/engine/drops.h"
#include "slab/engine/growth.h"
#include "slab/engine/item_handle.h"
#include "slab/engine/lanes.h"
#include "slab/engine/linker.h"
#include "slab/engine/liveness.h"
#include "slab/engine/lookup.h"
#include "slab/engine/magazines.h"
#include "slab/engine/miss_ratios.h"
#include "slab/engine/miss_review.h"
#include "slab/engine/options.h"
#include "slab/engine/page_mover.h"
#include "slab/engine/pause.h"
#include "slab/engine/prefix_counts.h"
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

// The large tables of a cache. Making each of them can fail, so they are made before the Engine.
struct Foundation {
  // nullptr: the memory is the system's.
  std::unique_ptr<MemoryFile> memory_file;
  std::unique_ptr<Arena> arena;
  std::unique_ptr<Index> index;
  SizeLadder ladder;
  PageTable page_table;

  // Makes the tables of an empty cache. Fails with the system's reason. REQUIRES: `memory_file`, if
  // there is one, is prepared.
  static Result<Foundation, std::string> Make(const CacheOptions& options,
                                              std::unique_ptr<MemoryFile> memory_file);
};

// Engine holds the parts of a cache. In the list of members each part comes after those that it
// uses, and its constructor shows which they are. What needs several parts is in slab/cache.h.
//
// Threads:    see the parts. Lock order: page mover, bucket, class, arena. A thread that holds a
//             class only tries buckets and never waits for one. No thread holds two classes, or two
//             buckets (but see Index::TryLock).
// Owns:       all parts. It must outlive its item handles and reserved items.
// Invariants: see Cache, and Census::CheckInvariants, which checks them.
class Engine {
 public:
  // Starts the warmer's thread. Throws std::system_error if no thread can be started. REQUIRES: the
  // caller checks is_whole() before use.
  Engine(const CacheOptions& options, Foundation foundation);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // False if the kernel refused the memory for the removal records or the drops.
  bool is_whole() const { return removal_records.ok() && drops.ok(); }

  const KeyHasher hash;
  const Pause pause;
  // nullptr: none. Constant, except that a restart that fails takes it.
  std::unique_ptr<MemoryFile> memory_file;
  const std::unique_ptr<Arena> arena;
  const std::unique_ptr<Index> index;
  const SlabClasses classes;
  const Admission admission;

  Lanes lanes;
  Versions versions;
  Drops drops;
  PrefixCounts prefixes;
  const Liveness liveness;
  RemovalRecords removal_records;
  Pins pins;
  const Magazines magazines;
  Usage usage;
  Unlinker unlinker;
  DropPurge drop_purge;
  Lookup lookup;
  ClassOpening opening;
  ChunkAllocator allocator;
  PageMoveCounters page_move_counters;
  PageMover page_mover;
  MissReview miss_review;
  Reserver reserver;
  MissRatios miss_ratios;
  Linker linker;
  Growth growth;
  Deleter deleter;
  Storer storer;
  Walker walker;
  Census census;

  // Between a restart and BeginUse: items that have expired although their expiry does not say so.
  // They are given an expiry that has passed.
  std::vector<ItemRef> restored_expired;
  // SavedMoment::flush_due of the process before. Constant once the cache is created.
  Expiry restored_flush_due;

  // Changes the memory limit. Returns false if it is out of bounds.
  [[nodiscard]] bool SetMemoryLimit(std::uint64_t bytes) LARDER_EXCLUDES(limit_mutex_);

 private:
  // The memories that the warmer touches ahead of need.
  std::vector<GrowingMemory*> Growing();

  // Held by the thread that changes the memory limit. Locked before the arena's mutex.
  Mutex limit_mutex_;
  // nullptr: all memory was taken at the start.
  const std::unique_ptr<MemoryWarmer> warmer_;
};

}  // namespace larder::slab
