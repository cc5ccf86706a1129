// What a thread keeps of its own when it uses the cache.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "slab/classes/magazine.h"
#include "slab/ids.h"
#include "slab/item/expiry.h"
#include "slab/sync/counter.h"

namespace larder::slab {

// What is counted by slab class, as `stats slabs` shows it.
enum class ClassStat : std::uint8_t {
  kGetHits,
  kCmdSet,
  kDeleteHits,
  kIncrHits,
  kDecrHits,
  kCasHits,
  kCasBadval,
  kTouchHits,
  kRequestedBytes,  // Gauge: item bytes without the slack of their chunks.
  kCount,
};

// Item sizes are counted in steps of this many bytes for `stats sizes`.
inline constexpr std::size_t kSizeStepBytes = 32;
constexpr std::size_t SizeStep(std::size_t item_bytes) {
  return (item_bytes + kSizeStepBytes - 1) / kSizeStepBytes;
}

// Lane is one thread's side of a Cache: its clock, its CAS numbers, its counters. Numbers and
// counters that all threads share would cost more than a lookup.
//
// Threads: one worker; any thread may read the Counters.
struct alignas(128) Lane : Now {
  // By the owner, at each wake-up; the cache has no clock of its own.
  void SetNow(const Now& now) { static_cast<Now&>(*this) = now; }

  // The cutoff of the last flush is this one: all that the lane has counted so far is below it. Its
  // next number comes from another range. By the owner.
  void NoteFlush(std::uint64_t cutoff) noexcept {
    flushed_items.Set(items.value());
    flushed_bytes.Set(bytes.value());
    flush_floor.store(cutoff, std::memory_order_release);
    cas_end = 0;
  }

  // Of the lanes of its cache; constant.
  std::uint32_t number = 0;

  // CAS numbers not used yet; see Versions::Next.
  std::uint64_t cas_next = 0;
  std::uint64_t cas_end = 0;

  // Versions::cutoff() as this lane knows it; its range of numbers is not below it. Written by
  // the lane, released after the gauges that belong to it; read by any thread.
  std::atomic<std::uint64_t> flush_floor{0};

  // Bytes of values that were copied to larger chunks, since the owner last looked.
  std::uint64_t copied_bytes = 0;

  // Items added less items removed since the index last heard of them; see Unlinker::ReportCount.
  std::int32_t items_unreported = 0;

  // Gauges count up and down, and may wrap in one lane; their sum over all lanes is right.
  Counter items;  // Gauge.
  Counter bytes;  // Gauge: as ClassStat::kRequestedBytes, all classes.
  // Gauges: of these two, what is below flush_floor; see Liveness.
  Counter flushed_items;
  Counter flushed_bytes;
  Counter total_items;  // Items stored.
  Counter expiries;     // Expiries given; see slab/expiry_sweep.h.
  std::array<Counters<ClassStat>, kClassesMax + 1> classes;
  std::vector<Counter> sizes;  // Gauges by kSizeStepBytes, rounded up; empty: not tracked.

  // By ClassId; none as long as the class is too small for it.
  std::array<std::unique_ptr<Magazine>, kClassesMax + 1> magazines;
};

}  // namespace larder::slab
