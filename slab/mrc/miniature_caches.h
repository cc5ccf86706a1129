// MiniatureCaches: a sample of the keys, and what caches of other sizes would hold of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "slab/mrc/miniature_cache.h"
#include "slab/mrc/reference.h"
#include "slab/mrc/sampled_keys.h"
#include "slab/policies.h"

namespace larder::slab {

// The simulated sizes in percent of the present memory limit, from a quarter to four times.
inline constexpr std::array<std::uint32_t, kSimulatedSizes> kSizePercents = {25,  35,  50,  71,
                                                                             100, 141, 200, 400};
// The one of them that is the present size.
inline constexpr std::size_t kPresentSize = 4;
static_assert(kSizePercents[kPresentSize] == 100);

// Which of the simulations a reference missed in: a bit for each size.
using SizeSet = std::uint8_t;

// MiniatureCaches simulates caches of kSimulatedSizes sizes. A key belongs to the sample if its
// hash is below the threshold, and each simulation has the share of its memory that the sample has
// of all keys. The sample is of fixed size: at the start all keys belong to it, and when
// SampledKeys is full, the threshold falls and the keys above it are forgotten. Keys that no
// simulation holds take no place.
//
// Threads:    one thread.
// Owns:       the keys and the caches: 1.1 MB.
// Invariants: at most SampledKeys::kKeysMax keys; the threshold only falls, except in Clear().
// Source:     Waldspurger, Park, Garthwaite and Ahmad, Efficient MRC Construction with SHARDS,
//             USENIX FAST 2015, the variant of fixed size; for the simulations see MiniatureQueue.
class MiniatureCaches {
 public:
  // The threshold at which all keys belong to the sample.
  static constexpr std::uint64_t kThresholdMax = ~std::uint64_t{0};

  // The present memory limit in bytes.
  explicit MiniatureCaches(std::uint64_t limit_bytes);

  // Hashes below it belong to the sample.
  std::uint64_t threshold() const { return threshold_; }
  // The share of the keys that belongs to the sample, up to 1.
  double rate() const;
  // The read with the bytes and the expiry that its key is known to have; nothing if the key is not
  // known.
  std::optional<Reference> Complete(const Reference& read) const;
  // Applies a reference, and returns where it missed: none for all kinds but kRead and kMiss. It
  // may lower the threshold. REQUIRES: reference.hash() < threshold(), and
  // the reference is complete.
  SizeSet Apply(const Reference& reference, const Now& now);
  // Lowers the threshold by an eighth.
  void Lower();
  // Moves pages between the classes of each cache. Looks at a part of the keys, and removes those
  // that have expired, as the sweep does. Call it often.
  void Maintain(const Now& now);
  // Empties all caches; the sample begins anew with all keys.
  void Clear();

  // Changes the present limit; the sizes follow.
  void SetLimit(std::uint64_t limit_bytes);
  void set_policy(EvictionPolicy policy);

  // A simulated size: its memory limit, whole pages as the arena has them.
  std::uint64_t limit_bytes(std::size_t size) const { return limits_[size]; }
  // The items that a cache of this size holds, as far as it has been filled: an estimate.
  std::uint64_t items(std::size_t size) const;
  std::size_t key_count() const { return keys_.count(); }
  const MiniatureCache& cache(std::size_t size) const { return caches_[size]; }

  // For tests.
  void CheckInvariants();

 private:
  SizeSet ApplyRead(const Reference& reference, const Now& now);
  SizeSet ApplyMiss(const Reference& reference, const Now& now);
  void ApplyStore(const Reference& reference, const Now& now);
  // The key of the reference, which is added if it is not there. Its bytes and expiry become those
  // of the reference.
  SampledKeyId Put(const Reference& reference);
  // Inserts the key into all simulations that do not hold it, and forgets it if none can.
  void InsertWhereMissing(SampledKeyId id, const Now& now);
  void SetThreshold(std::uint64_t threshold);
  void RemoveEverywhere(SampledKeyId id);
  void ForgetIfUnheld(SampledKeyId id);

  SampledKeys keys_;
  std::array<MiniatureCache, kSimulatedSizes> caches_;
  std::array<std::uint64_t, kSimulatedSizes> limits_{};
  std::uint64_t threshold_ = kThresholdMax;
  // The next key that Sweep looks at.
  std::size_t sweep_at_ = 0;
};

}  // namespace larder::slab
