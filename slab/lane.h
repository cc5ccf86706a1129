// Lane: what one thread keeps for itself when it uses a cache.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "slab/classes/magazine.h"
#include "slab/eviction/lane_observer.h"
#include "slab/eviction/missed_keys.h"
#include "slab/ids.h"
#include "slab/item/expiry.h"
#include "slab/mrc/repeat_filter.h"
#include "slab/sync/counter.h"

namespace larder::slab {

// Statistics that are counted by slab class, as `stats slabs` shows them.
enum class ClassStat : std::uint8_t {
  kGetHits,
  kCmdSet,
  kDeleteHits,
  kIncrHits,
  kDecrHits,
  kCasHits,
  kCasBadval,
  kTouchHits,
  // A gauge: bytes of the class's items, without the slack of their chunks.
  kRequestedBytes,
  kCount,
};

// The row of a prefix of keys, see PrefixTable.
using PrefixRow = std::uint16_t;
// The row of all keys that have no other one.
inline constexpr PrefixRow kOthers = 0;
// Rows of prefixes, with kOthers.
inline constexpr std::size_t kPrefixRows = 257;

// Statistics that are counted by prefix, as `stats prefixes` shows them.
enum class PrefixStat : std::uint8_t {
  // Gauges: linked items, their bytes, and the bytes of their chunks.
  kItems,
  kBytes,
  kMemory,
  // Estimates.
  kHits,
  kMisses,
  kEvictions,
  kCount,
};

// The counters of all prefixes: 12 KB.
//
// Threads:    as Counter: one thread adds, any thread reads.
struct PrefixCounters {
  std::array<Counters<PrefixStat>, kPrefixRows> rows;
};

// For `stats sizes`, item sizes are counted in steps of this many bytes.
inline constexpr std::size_t kSizeStepBytes = 32;
// The step of an item of this size, rounded up.
constexpr std::size_t SizeStep(std::size_t item_bytes) {
  return (item_bytes + kSizeStepBytes - 1) / kSizeStepBytes;
}

// Lane is the part of a Cache that belongs to one thread: its clock, its range of CAS numbers, its
// counters and its magazines. Numbers and counters that all threads shared would cost more than a
// lookup.
//
// Threads:    one worker. Any thread may read the Counters and flush_floor; one other thread takes
//             the missed keys out.
// Owns:       its magazines, its missed keys and its counters by prefix.
struct alignas(128) Lane : Now {
  // Sets the time that the cache uses for this lane's calls; the cache has no clock of its own. The
  // owner calls it at each wake-up.
  void SetNow(const Now& now) { static_cast<Now&>(*this) = now; }

  // Records that `cutoff` is the cutoff of the last flush. All items that the lane has counted so
  // far have numbers below it, so they count as flushed; the lane's next number comes from a new
  // range. Only the owner may call it.
  void NoteFlush(std::uint64_t cutoff) noexcept {
    flushed_items.Set(items.value());
    flushed_bytes.Set(bytes.value());
    // Released after the gauges: a reader that sees the new floor sees them too.
    flush_floor.store(cutoff, std::memory_order_release);
    cas_end = 0;
  }

  // The lane's number among the lanes of its cache; constant.
  std::uint32_t number = 0;

  // The range of CAS numbers that are not used yet, from cas_next up to but without cas_end. See
  // Versions::Next.
  std::uint64_t cas_next = 0;
  std::uint64_t cas_end = 0;

  // The Versions::cutoff() that this lane has seen; its range of numbers is not below it. Written
  // by the lane, released after the gauges that belong to it, read by any thread.
  std::atomic<std::uint64_t> flush_floor{0};

  // Bytes of values that were copied to larger chunks, since the owner last reset this.
  std::uint64_t copied_bytes = 0;

  // Items added less items removed since the lane last reported to the index; see
  // Unlinker::ReportCount.
  std::int32_t items_unreported = 0;

  // Gauges count up and down and may wrap below 0 in one lane. The sum over all lanes is right.

  // A gauge: linked items.
  Counter items;
  // A gauge: bytes of linked items, as ClassStat::kRequestedBytes, for all classes together.
  Counter bytes;
  // Gauges: the part of `items` and `bytes` with numbers below flush_floor; see Liveness.
  Counter flushed_items;
  Counter flushed_bytes;
  // Items that were stored.
  Counter total_items;
  // Expiries that were given to items; see slab/expiry_sweep.h.
  Counter expiries;
  // Statistics by ClassId.
  std::array<Counters<ClassStat>, kClassesMax + 1> classes;
  // Gauges of items by size in steps of kSizeStepBytes, rounded up; empty if sizes are not tracked.
  std::vector<Counter> sizes;
  // Statistics by PrefixRow; nullptr: they are not counted.
  std::unique_ptr<PrefixCounters> prefixes;
  // Which read of each batch is counted, see PrefixSample.
  std::uint32_t prefix_sample = 0;

  // Reads and touches of keys without an item.
  Counter missed_reads;
  // For the sample of slab/engine/miss_ratios.h.
  RepeatFilter repeats;

  // Sees what the lane removes; nullptr: nobody does. It must outlive the lane's use.
  LaneObserver* observer = nullptr;

  // Evicted keys that the lane's gets have missed; see slab/engine/miss_review.h.
  std::unique_ptr<MissedKeys> missed_keys = std::make_unique<MissedKeys>();

  // By ClassId; nullptr until the lane first stores into a class that is large enough for
  // magazines.
  std::array<std::unique_ptr<Magazine>, kClassesMax + 1> magazines;
};

}  // namespace larder::slab
