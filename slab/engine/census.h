// Counts of what a cache holds, and checks that it holds together.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "slab/classes/slab_classes.h"
#include "slab/engine/lanes.h"
#include "slab/engine/liveness.h"
#include "slab/engine/lookup.h"
#include "slab/engine/magazines.h"
#include "slab/engine/memory_use.h"
#include "slab/engine/versions.h"
#include "slab/eviction/eviction_queue.h"
#include "slab/eviction/removal_records.h"
#include "slab/ids.h"
#include "slab/index/index.h"
#include "slab/item/hash.h"
#include "slab/lane.h"

namespace larder::slab {

// A class as `stats items` and `stats slabs` show it.
struct ClassSnapshot {
  ClassId id = 0;
  std::uint32_t chunk_bytes = 0;
  std::uint32_t chunks_per_page = 0;
  std::uint32_t pages = 0;
  std::uint64_t used_chunks = 0;
  std::uint64_t probation_items = 0;
  std::uint64_t main_items = 0;
  std::uint64_t probation_target = 0;  // Above it, probation is where room is made.
  std::uint64_t ghost_bytes = 0;
  // Seconds since the oldest item of the segment was used.
  std::uint64_t probation_age_s = 0;
  std::uint64_t main_age_s = 0;
  ClassStats stats;
  QueueStats queue;

  std::uint64_t items() const { return probation_items + main_items; }
};

// Census counts what there is: by class, by use of memory, and, for tests, all of it.
//
// Threads: any, with no bucket and no class locked; one class is looked at after the other.
// Owns:    nothing; all that it is made of must outlive it.
class Census {
 public:
  // What it is made of.
  struct Parts {
    Index& index;
    const SlabClasses& classes;
    const Magazines& magazines;
    const Versions& versions;
    const Liveness& liveness;
    const Lanes& lanes;
    Lookup& lookup;
    const RemovalRecords& records;
    KeyHasher hash;
    bool is_on_file;  // The arena is a memory file's.
  };
  explicit Census(const Parts& parts) : parts_(parts) {}

  // Every class that there is, by id. The oldest items are removed if they are found dead.
  std::vector<ClassSnapshot> TakeClasses(Lane& lane) LARDER_EXCLUDES(kBucketLocked);
  // Takes milliseconds for every 10 GiB, see ResidentBytes.
  MemoryUse Memory() const;
  void ResetClassStats();

  // Tests: aborts when an invariant of the whole is broken. REQUIRES: no other thread is active,
  // and no handle or reserved item is alive.
  void CheckInvariants() const;

 private:
  ClassSnapshot TakeClass(SlabClass& c, Lane& lane) LARDER_EXCLUDES(kBucketLocked);
  // Since the item of this key was used; 0 if there is no such key, or it is empty.
  std::uint64_t IdleOf(const std::string& key, Lane& lane) LARDER_EXCLUDES(kBucketLocked);
  // The number of chunks that the segment's items take. Adds those that are alive.
  std::uint64_t CheckSegment(SlabClass& c, Segment segment, AliveCount& alive) const
      LARDER_REQUIRES(c.mutex());
  std::uint64_t CheckChunks(ItemRef ref) const;

  Parts parts_;
};

}  // namespace larder::slab
