// Census: counts of what a cache holds, and checks of the whole cache.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "slab/classes/slab_classes.h"
#include "slab/engine/drops.h"
#include "slab/engine/lanes.h"
#include "slab/engine/liveness.h"
#include "slab/engine/lookup.h"
#include "slab/engine/magazines.h"
#include "slab/engine/memory_use.h"
#include "slab/engine/prefix_counts.h"
#include "slab/engine/versions.h"
#include "slab/eviction/eviction_queue.h"
#include "slab/eviction/removal_records.h"
#include "slab/ids.h"
#include "slab/index/index.h"
#include "slab/item/hash.h"
#include "slab/lane.h"

namespace larder::slab {

// The state of a class, as `stats items` and `stats slabs` show it.
struct ClassSnapshot {
  ClassId id = 0;
  std::uint32_t chunk_bytes = 0;
  std::uint32_t chunks_per_page = 0;
  std::uint32_t pages = 0;
  // Chunks that are not free.
  std::uint64_t used_chunks = 0;
  // Items in each of the two segments.
  std::uint64_t probation_items = 0;
  std::uint64_t main_items = 0;
  // Probation makes room while it has at least this many items.
  std::uint64_t probation_target = 0;
  // Bytes of the ghost table.
  std::uint64_t ghost_bytes = 0;
  // Seconds since the oldest item of each segment was used.
  std::uint64_t probation_age_s = 0;
  std::uint64_t main_age_s = 0;
  ClassStats stats;
  QueueStats queue;

  std::uint64_t items() const { return probation_items + main_items; }
};

// Census counts what the cache holds: by class, by use of memory, and, for tests, all of it.
//
// Threads:    any thread, with no bucket and no class locked. It locks one class after the other,
//             so the numbers of different classes are of different moments.
// Owns:       nothing; its parts must outlive it.
class Census {
 public:
  // The parts of the cache that it reads.
  struct Parts {
    Index& index;
    const SlabClasses& classes;
    const Magazines& magazines;
    const Versions& versions;
    const Liveness& liveness;
    const Lanes& lanes;
    Lookup& lookup;
    const RemovalRecords& records;
    const Drops& drops;
    const PrefixCounts& prefixes;
    KeyHasher hash;
    // The memory of the arena is that of a memory file.
    bool is_on_file;
  };
  explicit Census(const Parts& parts) : parts_(parts) {}

  // The state of every class, by id. Returns magazines to their classes first. If the oldest item
  // of a segment is found dead, it is removed.
  std::vector<ClassSnapshot> CleanAndDescribeClasses(Lane& lane) LARDER_EXCLUDES(kBucketLocked);
  // What memory is used for. Takes milliseconds for every 10 GiB, see ResidentBytes.
  MemoryUse Memory() const;
  // Sets the statistics of all classes and queues to 0.
  void ResetClassStats();

  // For tests: aborts if an invariant of the whole cache is broken. REQUIRES: no other thread is
  // active, and no item handle or reserved item is alive.
  void CheckInvariants() const;

 private:
  ClassSnapshot CleanAndDescribe(SlabClass& c, Lane& lane) LARDER_EXCLUDES(kBucketLocked);
  // Seconds since the item of this key was used; 0 if there is none or the key is empty.
  std::uint64_t IdleOf(const std::string& key, Lane& lane) LARDER_EXCLUDES(kBucketLocked);
  // What was found in the cache by walking over it.
  struct Found {
    AliveCount alive;
    // The gauges of PrefixStat by row, if prefixes are counted.
    std::vector<Counters<PrefixStat>::Values> prefixes;
  };
  // Checks the items of a segment. Returns the number of chunks that they use, and adds them to
  // `found`.
  std::uint64_t CheckSegment(SlabClass& c, Segment segment, Found& found) const
      LARDER_REQUIRES(c.mutex());
  // Adds an item of class `id` to the gauges of its prefix.
  void AddToPrefix(const Item& item, ClassId id, Found& found) const;
  // Checks that the lanes have counted these gauges.
  void CheckPrefixes(const Found& found) const;
  // Checks the chunks of one item and returns their number.
  std::uint64_t CheckChunks(ItemRef ref) const;

  Parts parts_;
};

}  // namespace larder::slab
