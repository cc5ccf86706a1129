// Lookup: finds items by their keys.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "slab/check.h"
#include "slab/classes/slab_classes.h"
#include "slab/engine/liveness.h"
#include "slab/engine/locked_item.h"
#include "slab/engine/unlinker.h"
#include "slab/ids.h"
#include "slab/index/index.h"
#include "slab/item/hash.h"
#include "slab/item/item.h"
#include "slab/item/keys_equal.h"
#include "slab/lane.h"
#include "slab/store.h"

namespace larder::slab {

// The most keys that PrefetchItems handles at a time: one bit for each.
inline constexpr std::size_t kPrefetchMax = 64;

// Lookup finds items in the index, and removes those that it finds dead.
//
// Threads:    any thread. Visit: caller has no bucket locked. Find and FindAlive: caller locks the
//             bucket.
// Owns:       nothing; its parts must outlive it.
class Lookup {
 public:
  Lookup(Index& index, const SlabClasses& classes, const Liveness& liveness, Unlinker& unlinker)
      : index_(index),
        arena_(classes.arena()),
        classes_(classes),
        liveness_(liveness),
        unlinker_(unlinker) {}

  // The item of this key, dead or alive; none if there is no such item.
  [[gnu::always_inline]] LockedItem Find(const Index::Guard& guard,
                                         const HashedKey& key) const noexcept
      LARDER_REQUIRES(kBucketLocked) {
    return LockedItem(FindSlot(guard, key), arena_);
  }
  // The item of this key if it is alive. A dead item is unlinked, and none is returned.
  LockedItem FindAlive(Index::Guard& guard, const HashedKey& key, Lane& lane)
      LARDER_REQUIRES(kBucketLocked) {
    // One object is returned in every case, so that it is made where the caller wants it.
    LockedItem item = Find(guard, key);
    if (item && liveness_.IsDead(*item, lane)) [[unlikely]] {
      (void)unlinker_.UnlinkDead(guard, item, lane);
      item = {};
    }
    return item;
  }

  // If the key is present and alive, calls fn(Item&) with the bucket locked and returns kHit; see
  // Cache::Visit. Inlined into its one caller for each fn, which would have to pay for a second
  // call.
  template <class Fn>
  [[gnu::always_inline]] Presence Visit(const HashedKey& key, Lane& lane, Fn&& fn)
      LARDER_EXCLUDES(kBucketLocked) {
    Index::BucketLock guard(index_, key.hash);
    // Only the rare case needs a LockedItem, which would not stay in registers.
    const Index::Slot slot = FindSlot(guard, key);
    if (!slot) return Presence::kMiss;
    Item& item = arena_.At(slot.ref());
    if (liveness_.IsDead(item, lane)) [[unlikely]] {
      return unlinker_.UnlinkDead(guard, LockedItem(slot, arena_), lane);
    }
    fn(item);
    return Presence::kHit;
  }

  // Prefetches the bucket of a key.
  void PrefetchBucket(std::uint64_t hash) const noexcept { index_.PrefetchBucket(hash); }
  // Prefetches the items that these keys probably have. It reads their buckets, which should have
  // been prefetched before. Returns the lowest of the hashes. REQUIRES: at most kPrefetchMax
  // hashes.
  std::uint64_t PrefetchItems(std::span<const std::uint64_t> hashes) const noexcept;

 private:
  // The place of this key in its bucket; an empty slot if it is not there.
  [[gnu::always_inline]] Index::Slot FindSlot(const Index::Guard& guard,
                                              const HashedKey& key) const noexcept
      LARDER_REQUIRES(kBucketLocked) {
    return guard.Find(key.hash,
                      [&](ItemRef ref) { return KeysEqual(arena_.At(ref).key(), key.bytes); });
  }

  // Prefetches an item, all of it if it is small.
  void PrefetchItem(ItemRef ref) const noexcept;

  Index& index_;
  const Arena& arena_;
  const SlabClasses& classes_;
  const Liveness& liveness_;
  Unlinker& unlinker_;
};

inline void Lookup::PrefetchItem(ItemRef ref) const noexcept {
  const auto* item = reinterpret_cast<const char*>(&arena_.At(ref));
  // All of a small item, because its value is copied as soon as it is found. An item of 144 bytes
  // begins anywhere in a cache line, so it may end in a fourth one.
  const std::uint32_t bytes =
      classes_.ladder().chunk_bytes(classes_.page_table().class_of(arena_.PageOf(item)));
  __builtin_prefetch(item, 1);
  __builtin_prefetch(item + 64);
  __builtin_prefetch(item + std::min<std::uint32_t>(bytes, 256) - 1);
  if (bytes > 128) __builtin_prefetch(item + 128);
}

inline std::uint64_t Lookup::PrefetchItems(std::span<const std::uint64_t> hashes) const noexcept {
  LARDER_ASSERT(hashes.size() <= kPrefetchMax);
  // One key in eight is in an overflow bucket. Those are handled in a second round, when the
  // overflow bucket has been fetched.
  std::uint64_t chained = 0;
  std::uint64_t lowest = ~std::uint64_t{0};
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    lowest = std::min(lowest, hashes[i]);
    const Index::Guessed guess = index_.Guess(hashes[i]);
    if (guess.ref != kNoItem) [[likely]] {
      PrefetchItem(guess.ref);
    } else if (guess.may_be_chained) {
      chained |= std::uint64_t{1} << i;
    }
  }
  for (; chained != 0; chained &= chained - 1) {
    const auto i = static_cast<std::size_t>(std::countr_zero(chained));
    const Index::Guessed guess = index_.GuessChained(hashes[i]);
    if (guess.ref != kNoItem) PrefetchItem(guess.ref);
  }
  return lowest;
}

}  // namespace larder::slab
