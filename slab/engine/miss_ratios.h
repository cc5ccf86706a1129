// MissRatios: how many gets would miss if the cache had more memory, or less.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "slab/classes/slab_classes.h"
#include "slab/engine/admission.h"
#include "slab/engine/lanes.h"
#include "slab/engine/reserver.h"
#include "slab/engine/usage.h"
#include "slab/engine/versions.h"
#include "slab/item/item.h"
#include "slab/lane.h"
#include "slab/mrc/miniature_caches.h"
#include "slab/mrc/miss_ratio_curve.h"
#include "slab/mrc/reference_ring.h"
#include "slab/store.h"
#include "slab/sync/mutex.h"

namespace larder::slab {

// An estimate of the miss ratios by size of memory.
struct MissRatioEstimate {
  // One simulated size.
  struct Point {
    std::uint64_t limit_bytes = 0;
    // Items that the cache would hold by now.
    std::uint64_t items = 0;
    double miss_ratio = 0;
  };

  // False: the estimate is switched off, and nothing else is set.
  bool is_on = false;
  // The share of the keys that is in the sample.
  double sample_rate = 0;
  // Keys in the sample that a simulation holds.
  std::uint64_t sampled_keys = 0;
  // Reads and touches of clients since the start, and those that were sampled.
  std::uint64_t references = 0;
  std::uint64_t sampled_references = 0;
  // Rounds that do not count, because there were too many references to sample.
  std::uint64_t dropped_rounds = 0;
  // The references that the ratios are from; see MissRatioCurve.
  double counted_references = 0;
  // By size, as in kSizePercents.
  std::array<Point, kSimulatedSizes> points = {};
};

// MissRatios samples the references of all lanes, and estimates the miss ratios of caches of other
// sizes with MiniatureCaches. Workers compare the hash of each key with a threshold; a reference of
// the sample goes through a ring to the thread that runs the simulations.
//
// Threads:    NoteRead, NoteMiss, NoteStore, NoteDelete: any thread, with its own lane. Simulate:
//             one thread at a time. Estimate: any thread.
// Owns:       the ring and the simulations: together 0.7 MB, and 2 KiB in each lane.
class MissRatios {
 public:
  // The parts of the cache that it uses.
  struct Parts {
    const SlabClasses& classes;
    const Lanes& lanes;
    const Usage& usage;
    const Versions& versions;
    const Reserver& reserver;
  };
  // If !is_on, no reference is sampled, and nothing of the size above is made.
  MissRatios(const Parts& parts, bool is_on);

  // A store of an item that has all its bytes.
  struct Stored {
    StoreMode mode;
    std::uint64_t hash;
    std::size_t item_bytes;
    std::uint32_t value_bytes;
    Expiry expiry;
  };

  // References that may be simulated in a second, and in a round, of which a second has
  // kRoundsPerSecond. With more the threshold falls. A reference takes 0.3 us, so they take less
  // than a hundredth of a core.
  static constexpr std::uint32_t kRoundsPerSecond = 20;
  static constexpr std::uint32_t kReferencesPerSecondMax = 20'000;

  // Note that a client has read this item, or changed its expiry; that it has used it without
  // reading it; that it has asked for a key that is not there; that it has tried a store, with this
  // outcome; that the item of a key was removed by a request. `hash` is that of the key. NoteRead
  // and NoteUse: the item's bucket is locked.
  [[gnu::always_inline]] void NoteRead(std::uint64_t hash, const Item& item, Lane& lane) noexcept {
    if (IsSampled(hash)) [[unlikely]]
      SampleRead(hash, item, lane);
  }
  void NoteUse(std::uint64_t hash, const Item& item) noexcept {
    if (IsSampled(hash)) [[unlikely]]
      ring_->Add({ReferenceKind::kUpdate, hash, BytesOf(item), item.expiry()});
  }
  void NoteMiss(std::uint64_t hash, Lane& lane) noexcept {
    lane.missed_reads.Add();
    if (IsSampled(hash)) [[unlikely]]
      ring_->Add({ReferenceKind::kMiss, hash});
  }
  [[gnu::always_inline]] void NoteStore(StoreMode mode, const ItemSpec& spec,
                                        const StoreOutcome& outcome) noexcept {
    if (IsSampled(spec.key.hash)) [[unlikely]] {
      SampleStore({.mode = mode,
                   .hash = spec.key.hash,
                   .item_bytes = ItemBytes(spec),
                   .value_bytes = spec.value_bytes,
                   .expiry = spec.expiry},
                  outcome);
    }
  }
  void NoteDelete(std::uint64_t hash) noexcept {
    if (IsSampled(hash)) [[unlikely]]
      ring_->Add({ReferenceKind::kDelete, hash});
  }

  // NoteStore() for a key that IsSampled().
  [[gnu::noinline]] void SampleStore(const Stored& stored, const StoreOutcome& outcome) noexcept;
  // Whether a key of this hash belongs to the sample.
  bool IsSampled(std::uint64_t hash) const noexcept {
    return hash < sample_below_.load(std::memory_order_relaxed);
  }

  // Runs the simulations up to the present. Call it kRoundsPerSecond times a second; `lane` has the
  // present time. No bucket and no class is locked.
  void Simulate(const Lane& lane) LARDER_EXCLUDES(mutex_);
  // The estimate as of the last Simulate().
  MissRatioEstimate Estimate() const LARDER_EXCLUDES(mutex_);

 private:
  [[gnu::noinline]] void SampleRead(std::uint64_t hash, const Item& item, Lane& lane) noexcept;
  // What an item takes of the memory for items.
  std::uint64_t BytesOf(const Item& item) const noexcept;
  // References of all lanes since the start, from the counters of the lanes.
  struct Counted {
    std::uint64_t references = 0;
    std::uint64_t misses = 0;
  };
  Counted CountReferences() const;
  // Follows the settings of the cache and its flushes.
  void FollowCache() LARDER_REQUIRES(mutex_);
  // Applies what is in the ring; all of it together stands for these references. Returns how many
  // were applied. If !counts, the simulations go on, but the curve does not.
  std::uint32_t ApplyAll(const ReferenceCount& all, bool counts, const Now& now)
      LARDER_REQUIRES(mutex_);
  // Lowers the threshold if there was too much to do.
  void LimitWork(std::uint32_t applied, bool has_dropped) LARDER_REQUIRES(mutex_);

  const Parts parts_;
  // nullptr: switched off.
  const std::unique_ptr<ReferenceRing> ring_;
  // MiniatureCaches::threshold(), and the number of the round, which wraps. Written by Simulate(),
  // read by workers; no other data depend on them, so they are relaxed. In a cache line that
  // changes once a round.
  alignas(64) std::atomic<std::uint64_t> sample_below_{0};
  std::atomic<std::uint32_t> round_{0};

  alignas(64) mutable Mutex mutex_;  // Guards all below.
  // nullptr: switched off.
  std::unique_ptr<MiniatureCaches> caches_ LARDER_GUARDED_BY(mutex_);
  MissRatioCurve curve_ LARDER_GUARDED_BY(mutex_);
  Counted counted_ LARDER_GUARDED_BY(mutex_);
  std::uint64_t sampled_references_ LARDER_GUARDED_BY(mutex_) = 0;
  std::uint64_t dropped_rounds_ LARDER_GUARDED_BY(mutex_) = 0;
  // References that may be applied before the threshold falls.
  std::int64_t budget_ LARDER_GUARDED_BY(mutex_) = kReferencesPerSecondMax;
  // What the cache was when the simulations last followed it.
  std::uint64_t limit_bytes_ LARDER_GUARDED_BY(mutex_) = 0;
  std::uint64_t cutoff_ LARDER_GUARDED_BY(mutex_) = 0;
};

}  // namespace larder::slab
