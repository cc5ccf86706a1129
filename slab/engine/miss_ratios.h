// MissRatios: how many gets would miss if the cache had more memory, or less.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "slab/classes/slab_classes.h"
#include "slab/engine/lanes.h"
#include "slab/engine/liveness.h"
#include "slab/engine/lookup.h"
#include "slab/engine/reserver.h"
#include "slab/engine/usage.h"
#include "slab/engine/versions.h"
#include "slab/index/index.h"
#include "slab/item/hash.h"
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
// Owns:       the ring and the simulations: together 1.2 MB, and 2 KiB in each lane.
class MissRatios {
 public:
  // The parts of the cache that it uses.
  struct Parts {
    const SlabClasses& classes;
    const Lanes& lanes;
    const Usage& usage;
    const Versions& versions;
    const Reserver& reserver;
    Index& index;
    const Lookup& lookup;
    const Liveness& liveness;
    const KeyHasher hash;
  };
  // If !is_on, no reference is sampled, and nothing of the size above is made.
  MissRatios(const Parts& parts, bool is_on);

  // References that may be simulated in a second, which has so many rounds. With more the threshold
  // falls. So of 500,000 reads a second one in a hundred is sampled at most.
  static constexpr std::uint32_t kRoundsPerSecond = 20;
  static constexpr std::uint32_t kReferencesPerSecondMax = 5000;

  // A store of an item that has all its bytes.
  struct Stored {
    StoreMode mode;
    std::uint64_t hash;
    std::size_t item_bytes;
    std::uint32_t value_bytes;
    Expiry expiry;
  };

  // Whether a key of this hash belongs to the sample.
  bool IsSampled(std::uint64_t hash) const noexcept {
    return hash < sample_below_.load(std::memory_order_relaxed);
  }
  // Note that a client reads a key, or tries to; that it has touched an item; that it has used this
  // item without reading it; that a read or a touch has missed; that it has tried a store, with
  // this outcome; that the item of a key was removed by a request. `hash` is that of the key.
  // REQUIRES: NoteRead, NoteTouch and NoteStore: IsSampled(). NoteUse: the item's bucket is locked.
  //
  // NoteRead may come before the read, and then also before the NoteMiss of a read that misses.
  // NoteTouch looks for the item itself, and does nothing if there is none.
  [[gnu::cold]] void NoteRead(std::uint64_t hash, Lane& lane) noexcept {
    if (Passes(hash, lane)) ring_->Add({ReferenceKind::kRead, hash});
  }
  [[gnu::cold]] void NoteTouch(const HashedKey& key, Lane& lane) noexcept;
  void NoteUse(std::uint64_t hash, const Item& item) noexcept {
    if (IsSampled(hash)) [[unlikely]]
      ring_->Add({ReferenceKind::kUpdate, hash, BytesOf(item), item.expiry()});
  }
  void NoteMiss(std::uint64_t hash, Lane& lane) noexcept {
    lane.missed_reads.Add();
    if (IsSampled(hash) && Passes(hash, lane)) [[unlikely]]
      ring_->Add({ReferenceKind::kMiss, hash});
  }
  void NoteStore(const Stored& stored, const StoreOutcome& outcome, Lane& lane) noexcept;
  void NoteDelete(std::uint64_t hash) noexcept {
    if (IsSampled(hash)) [[unlikely]]
      ring_->Add({ReferenceKind::kDelete, hash});
  }

  // Runs the simulations up to the present. Call it kRoundsPerSecond times a second; `lane` has the
  // present time. No bucket and no class is locked.
  void Simulate(const Lane& lane) LARDER_EXCLUDES(mutex_);
  // The estimate as of the last Simulate().
  MissRatioEstimate Estimate() const LARDER_EXCLUDES(mutex_);

 private:
  // False for the reads, misses and stores of one key that are too many in one round.
  bool Passes(std::uint64_t hash, Lane& lane) const noexcept {
    return lane.repeats.Passes(hash, round_.load(std::memory_order_relaxed));
  }
  // The bytes of an item, with a CAS that a client chose.
  static std::uint64_t BytesOf(const Item& item) noexcept {
    return item.item_bytes() + (item.has_chosen_cas() ? Item::kChosenCasBytes : 0);
  }
  // A reference with the bytes that its item takes of the memory for items, in place of its own.
  // Workers leave that to this thread.
  Reference InMemory(const Reference& reference) const;
  // References of all lanes since the start, from the counters of the lanes.
  struct Counted {
    std::uint64_t references = 0;
    std::uint64_t misses = 0;
  };
  Counted CountReferences() const;
  // Follows the settings of the cache and its flushes.
  void FollowCache() LARDER_REQUIRES(mutex_);
  // Takes all that is in the ring now, without the reads that have missed.
  std::vector<Reference> TakeAll() LARDER_REQUIRES(mutex_);
  // The reference as the simulations need it: with what its item takes of memory and when it
  // expires. Nothing if it is a read whose item has gone meanwhile.
  std::optional<Reference> Complete(const Reference& read, const Lane& lane)
      LARDER_REQUIRES(mutex_);
  // Applies what is in the ring; all of it together stands for these references. Returns how many
  // there were. If !counts, the simulations go on, but the curve does not.
  std::uint32_t ApplyAll(const ReferenceCount& all, bool counts, const Lane& lane)
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
