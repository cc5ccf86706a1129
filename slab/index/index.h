// The hash index: from the hash of a key to the item that has it.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "slab/check.h"
#include "slab/ids.h"
#include "slab/memory/growing_memory.h"
#include "slab/memory/resident.h"
#include "slab/memory/zeroed_array.h"
#include "slab/result.h"
#include "slab/sync/mutex.h"

namespace larder::slab {

inline constexpr unsigned kIndexLevelMin = 12;  // 4096 buckets at the start.
inline constexpr std::size_t kBucketSlots = 8;
inline constexpr double kItemsPerBucketMax = 6.5;  // A split is due above this mean.

// A thread that has a bucket locked. It locks one at a time (but for those that TryLock gives it),
// so one name does for all buckets of all indexes: clang's analysis finds what needs a bucket
// locked and is called without, and what locks a bucket and is called with one locked.
class LARDER_CAPABILITY("bucket") BucketRole {};
inline constexpr BucketRole kBucketLocked;

// Index is a linear-hashing table of cache-line buckets.
//
//   bucket, 64 bytes   |lock 1|occupied 1|- 2|overflow 4|tags 8 x 2|low tags 8 x 1|refs 8 x 4|
//   hash, 64 bits      |- 28|tag 16|low tag 8|12|   bucket number: the low bits, as many as needed
//
// One SSE2 comparison finds the slots of a bucket whose 16-bit tag fits. The low tag holds the hash
// bits between the smallest table's bucket number and the tag, so that a split can tell where a
// slot goes without looking at the item. A bucket with more than 8 items has a chain of overflow
// buckets.
//
// The table lies in a reserved address range and grows by splitting bucket after bucket: no stop,
// no second table. At 6.5 items a bucket the index takes 12 bytes an item, overflow included;
// seven slots of 8 bytes (32-bit tag) in the same line took 13.4.
//
// Threads:    internally locked: a spin bit in each bucket, on the line that any lookup touches.
//             Prefetch* and bucket_count() are atomic. Everything in a bucket is written under its
//             lock, with relaxed atomics, since Prefetch* reads without it.
// Owns:       the table. Items belong to their classes.
// Invariants: a reference is in the chain of the bucket that its key's hash belongs to, once.
// Source:     W. Litwin, "Linear hashing", VLDB 1980.
class Index {
 public:
  class Guard;
  class BucketLock;
  class Slot;

  // Reserves addresses for items_max items. Fails with the system's reason.
  static Result<std::unique_ptr<Index>, std::string> Create(std::uint64_t items_max);
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  // Waits for the bucket of `hash`. Never call it with another bucket's Guard alive. Where clang's
  // analysis is to see the lock, construct a BucketLock.
  [[nodiscard]] Guard Lock(std::uint64_t hash) noexcept;
  // Does not wait: an empty Guard when another thread has the bucket. When `held` is
  // that bucket's Guard already, a Guard that shares it and does not unlock.
  [[nodiscard]] Guard TryLock(std::uint64_t hash, const Guard* held) noexcept;

  void PrefetchBucket(std::uint64_t hash) const noexcept;
  // The first overflow bucket, which a removal looks into. Reads the bucket.
  void PrefetchOverflow(std::uint64_t hash) const noexcept;
  // What a lookup would find, by tag only and without a lock: it may be wrong, and serves to
  // prefetch.
  struct Guessed {
    ItemRef ref = kNoItem;
    bool may_be_chained =
        false;  // Not in this bucket; the overflow bucket behind it is prefetched.
  };
  [[nodiscard]] Guessed Guess(std::uint64_t hash) const noexcept;
  // The same in the first overflow bucket.
  [[nodiscard]] Guessed GuessChained(std::uint64_t hash) const noexcept;

  // Splits one bucket if the table holds too many items for its size. `items_delta` is what the
  // caller has added since it last called; callers batch it, so that the count is rarely shared.
  // `lane` as for Guard::Insert.
  void Grow(std::int64_t items_delta, std::uint32_t lane) noexcept;

  std::uint32_t bucket_count() const noexcept {
    return static_cast<std::uint32_t>(state_.load(std::memory_order_acquire));
  }
  // Takes the memory for `items` items from the system at once.
  void PrefaultFor(std::uint64_t items) noexcept;

  // For a MemoryWarmer. REQUIRES: PrefaultFor was not called.
  GrowingMemory& growing_buckets() { return growing_buckets_; }
  GrowingMemory& growing_overflow() { return growing_overflow_; }

  // Bytes of buckets in use, overflow included; near enough while others write.
  std::uint64_t used_bytes() const noexcept;

  // Bytes that the system has given, those ahead of need included.
  std::uint64_t resident_bytes() const noexcept {
    return ResidentBytes(buckets_.data(), buckets_.bytes()) +
           ResidentBytes(overflow_.data(), overflow_.bytes());
  }

  // Calls fn(ref) for every reference, bucket by bucket, each under its lock; not atomic as a
  // whole. Misses none that stays, but meets one twice when its bucket is split meanwhile.
  template <class Fn>
  void ForEach(Fn&& fn);

  // Tests: aborts when an invariant of the table is broken. REQUIRES: no other thread is active.
  // hash_of(ref) gives the hash of the item's key.
  template <class HashOf>
  std::uint64_t CheckInvariants(HashOf&& hash_of);

 private:
  struct alignas(64) Bucket {
    std::atomic<std::uint8_t> lock{0};
    std::atomic<std::uint8_t> occupied{0};
    std::atomic<std::uint32_t> overflow{0};  // Number of the next bucket of the chain, 0: none.
    std::atomic<std::uint64_t> tags[2]{};
    std::atomic<std::uint64_t> low_tags{0};
    std::atomic<ItemRef> refs[kBucketSlots]{};

    // A bit for each slot whose tag fits.
    unsigned Match(std::uint16_t tag) const noexcept;
    void Write(unsigned slot, std::uint32_t tag24, ItemRef ref) noexcept;
    std::uint32_t Tag24(unsigned slot) const noexcept;
    void Clear(unsigned slot) noexcept;
  };
  static_assert(sizeof(Bucket) == 64);

  static constexpr unsigned kTagShift = kIndexLevelMin + 8;
  static std::uint16_t TagOf(std::uint64_t hash) {
    return static_cast<std::uint16_t>(hash >> kTagShift);
  }
  static std::uint32_t Tag24Of(std::uint64_t hash) {
    return static_cast<std::uint32_t>(hash >> kIndexLevelMin) & 0xffffff;
  }

  Index(ZeroedArray<Bucket> buckets, std::uint64_t buckets_max, ZeroedArray<Bucket> overflow,
        std::uint64_t overflow_max);

  // state = mask << 32 | bucket count, where mask covers the numbers of the level being filled.
  static std::uint32_t NumberFor(std::uint64_t hash, std::uint64_t state) noexcept {
    const auto mask = static_cast<std::uint32_t>(state >> 32);
    const auto count = static_cast<std::uint32_t>(state);
    const auto number = static_cast<std::uint32_t>(hash) & mask;
    return number < count ? number : number & (mask >> 1);
  }
  static std::uint64_t StateOf(std::uint32_t count) noexcept {
    const std::uint64_t mask = std::bit_ceil(std::uint64_t{count} + 1) - 1;
    return mask << 32 | count;
  }

  static void Acquire(Bucket& bucket) noexcept;
  // Lock() when the bucket was busy or the table grew meanwhile.
  Bucket& LockSlowly(std::uint64_t hash) noexcept;
  [[gnu::always_inline]] static bool TryAcquire(Bucket& bucket) noexcept {
    return bucket.lock.load(std::memory_order_relaxed) == 0 &&
           bucket.lock.exchange(1, std::memory_order_acquire) == 0;
  }
  static void Release(Bucket& bucket) noexcept { bucket.lock.store(0, std::memory_order_release); }

  Bucket* Next(const Bucket& bucket) const noexcept {
    const std::uint32_t number = bucket.overflow.load(std::memory_order_relaxed);
    return number == 0 ? nullptr : &overflow_[number];
  }
  Guessed GuessIn(const Bucket& bucket, std::uint64_t hash) const noexcept;
  void Insert(Bucket& head, std::uint32_t tag24, ItemRef ref, std::uint32_t lane) noexcept;
  void Compact(Bucket& head, std::uint32_t lane) noexcept;

  // Free overflow buckets of some lanes, so that those who store do not meet at one list: where
  // chains are that common, every few stores take one and every few removals give one back. All
  // stocks together hold 64 KiB of buckets at most.
  struct alignas(128) Stock {
    static constexpr std::uint32_t kMax = 64;  // Half of them come and go at a time.

    Mutex mutex;
    std::uint32_t count LARDER_GUARDED_BY(mutex) = 0;
    std::array<std::uint32_t, kMax> numbers LARDER_GUARDED_BY(mutex);
  };
  static constexpr std::size_t kStocks = 16;

  Stock& StockOf(std::uint32_t lane) noexcept { return stocks_[lane % kStocks]; }
  std::uint32_t TakeOverflow(std::uint32_t lane) noexcept LARDER_EXCLUDES(overflow_mutex_);
  void ReturnOverflow(std::uint32_t number, std::uint32_t lane) noexcept
      LARDER_EXCLUDES(overflow_mutex_);
  void FillHalf(Stock& stock) noexcept LARDER_REQUIRES(stock.mutex);
  void EmptyHalf(Stock& stock) noexcept LARDER_REQUIRES(stock.mutex);

  void SplitOne(std::uint32_t lane) noexcept LARDER_REQUIRES(split_mutex_);

  const ZeroedArray<Bucket> buckets_;
  const std::uint64_t buckets_max_;
  const ZeroedArray<Bucket> overflow_;  // [0] is never used.
  const std::uint64_t overflow_max_;

  // Written by the one who splits, under split_mutex_; publishes the new bucket's contents.
  std::atomic<std::uint64_t> state_;
  // Approximate: callers add in batches. Relaxed, nothing hangs on its order. Of its own line, with
  // what else changes: every lookup reads what is above.
  alignas(64) std::atomic<std::int64_t> items_{0};

  Mutex split_mutex_;
  // Buckets below were announced to growing_buckets_.
  std::uint64_t usable_buckets_ LARDER_GUARDED_BY(split_mutex_) = 0;
  // Stocks are filled from the list that begins with overflow_free_, and from what was never used.
  mutable std::array<Stock, kStocks> stocks_;
  mutable Mutex overflow_mutex_;  // After a stock's; nothing is locked under it.
  std::uint32_t overflow_free_ LARDER_GUARDED_BY(overflow_mutex_) = 0;
  std::uint32_t overflow_touched_ LARDER_GUARDED_BY(overflow_mutex_) = 1;
  std::uint64_t usable_overflow_ LARDER_GUARDED_BY(overflow_mutex_) = 0;  // As usable_buckets_.

  GrowingMemory growing_buckets_;
  GrowingMemory growing_overflow_;
  std::uint32_t overflow_given_ LARDER_GUARDED_BY(overflow_mutex_) = 0;  // In use or in stock.
};

// Where a Guard found a reference. Valid until the guard's bucket chain is changed.
class Index::Slot {
 public:
  Slot() = default;  // Nowhere.

  explicit operator bool() const { return bucket_ != nullptr; }
  // What was found there. REQUIRES: it was found somewhere.
  ItemRef ref() const {
    LARDER_ASSERT(bucket_ != nullptr);
    return ref_;
  }

 private:
  friend class Guard;
  Slot(Bucket* bucket, unsigned number, ItemRef ref)
      : bucket_(bucket), number_(number), ref_(ref) {}

  // The reference is still in its place.
  bool IsCurrent() const { return bucket_->refs[number_].load(std::memory_order_relaxed) == ref_; }

  Bucket* bucket_ = nullptr;
  unsigned number_ = 0;
  ItemRef ref_ = kNoItem;  // Kept: whoever asks for it would load it once more.
};

// The lock of one bucket chain, held until destruction.
//
// Threads: one worker.
class Index::Guard {
 public:
  Guard() = default;
  Guard(Guard&& other) noexcept
      : index_(other.index_), bucket_(other.bucket_), unlocks_(other.unlocks_) {
    other.bucket_ = nullptr;
  }
  Guard& operator=(Guard&&) = delete;
  ~Guard() { Unlock(); }

  explicit operator bool() const { return bucket_ != nullptr; }
  [[gnu::always_inline]] void Unlock() noexcept {
    if (bucket_ != nullptr && unlocks_) Release(*bucket_);
    bucket_ = nullptr;
  }

  // The first slot of this chain whose tag fits `hash` and for which is_it(ref) holds.
  // REQUIRES (all but Unlock): the bucket is locked, and `hash` belongs to it.
  template <class IsIt>
  [[gnu::always_inline]] Slot Find(std::uint64_t hash, IsIt&& is_it) const {
    LARDER_ASSERT(bucket_ == nullptr || Holds(hash));
    const std::uint16_t tag = TagOf(hash);
    for (Bucket* bucket = bucket_; bucket != nullptr; bucket = index_->Next(*bucket)) {
      for (unsigned matches = bucket->Match(tag); matches != 0; matches &= matches - 1) {
        const auto number = static_cast<unsigned>(std::countr_zero(matches));
        const ItemRef ref = bucket->refs[number].load(std::memory_order_relaxed);
        if (is_it(ref)) return Slot(bucket, number, ref);
      }
    }
    return {};
  }
  Slot Find(std::uint64_t hash, ItemRef ref) const {
    return Find(hash, [ref](ItemRef other) { return other == ref; });
  }

  // REQUIRES: `ref` is in the bucket no more than this once. Callers that give different numbers of
  // lanes seldom meet at the free overflow buckets.
  void Insert(std::uint64_t hash, ItemRef ref, std::uint32_t lane) noexcept {
    LARDER_ASSERT(Holds(hash));
    LARDER_ASSERT(ref != kNoItem);
    index_->Insert(*bucket_, Tag24Of(hash), ref, lane);
  }
  // REQUIRES: this guard found the slot, and its chain has not changed since.
  void Replace(const Slot& slot, ItemRef ref) noexcept {
    LARDER_ASSERT(slot && slot.IsCurrent() && ref != kNoItem);
    slot.bucket_->refs[slot.number_].store(ref, std::memory_order_relaxed);
  }
  // REQUIRES: as for Replace.
  void Remove(const Slot& slot, std::uint32_t lane) noexcept {
    LARDER_ASSERT(slot && slot.IsCurrent() && slot.ref() != kNoItem);
    slot.bucket_->Clear(slot.number_);
    if (bucket_->overflow.load(std::memory_order_relaxed) != 0) index_->Compact(*bucket_, lane);
  }

  // The bucket of this hash is locked by this guard.
  bool Holds(std::uint64_t hash) const noexcept {
    const std::uint64_t state = index_->state_.load(std::memory_order_acquire);
    return bucket_ == &index_->buckets_[NumberFor(hash, state)];
  }
  // For a guard that TryLock gave. REQUIRES: it is not empty.
  void AssertHeld() const noexcept LARDER_ASSERT_CAPABILITY(kBucketLocked) {
    LARDER_ASSERT(bucket_ != nullptr);
  }

 private:
  friend class Index;
  Guard(Index* index, Bucket* bucket, bool unlocks)
      : index_(index), bucket_(bucket), unlocks_(unlocks) {}

  Index* index_ = nullptr;
  Bucket* bucket_ = nullptr;
  bool unlocks_ = false;
};

inline unsigned Index::Bucket::Match(std::uint16_t tag) const noexcept {
  const std::uint64_t low = tags[0].load(std::memory_order_relaxed);
  const std::uint64_t high = tags[1].load(std::memory_order_relaxed);
#if defined(__SSE2__)
  const __m128i all = _mm_set_epi64x(static_cast<long long>(high), static_cast<long long>(low));
  const __m128i equal = _mm_cmpeq_epi16(all, _mm_set1_epi16(static_cast<short>(tag)));
  const auto matches = static_cast<unsigned>(_mm_movemask_epi8(_mm_packs_epi16(equal, equal)));
#else
  unsigned matches = 0;
  for (unsigned slot = 0; slot < kBucketSlots; ++slot) {
    const std::uint64_t word = slot < 4 ? low : high;
    if (static_cast<std::uint16_t>(word >> (slot % 4 * 16)) == tag) matches |= 1U << slot;
  }
#endif
  return matches & occupied.load(std::memory_order_relaxed);
}

// Inlined, so that the guard lives in registers (measured: 50 instructions of a get).
[[gnu::always_inline]] inline Index::Guard Index::Lock(std::uint64_t hash) noexcept {
  const std::uint64_t state = state_.load(std::memory_order_acquire);
  Bucket* bucket = &buckets_[NumberFor(hash, state)];
  if (!TryAcquire(*bucket)) [[unlikely]] {
    bucket = &LockSlowly(hash);
  } else if (state_.load(std::memory_order_acquire) != state) [[unlikely]] {
    Release(*bucket);
    bucket = &LockSlowly(hash);
  }
  return Guard(this, bucket, true);
}

// A Guard that waits for its bucket, as clang's analysis sees it.
//
// Threads: one worker.
class LARDER_SCOPED_CAPABILITY Index::BucketLock : public Index::Guard {
 public:
  [[gnu::always_inline]] BucketLock(Index& index, std::uint64_t hash) noexcept
      LARDER_ACQUIRE(kBucketLocked)
      : Guard(index.Lock(hash)) {}
  ~BucketLock() LARDER_RELEASE() = default;
  BucketLock(const BucketLock&) = delete;
  BucketLock& operator=(const BucketLock&) = delete;

  [[gnu::always_inline]] void Unlock() noexcept LARDER_RELEASE() { Guard::Unlock(); }
};

inline void Index::PrefetchBucket(std::uint64_t hash) const noexcept {
  __builtin_prefetch(&buckets_[NumberFor(hash, state_.load(std::memory_order_acquire))], 1);
}

inline void Index::PrefetchOverflow(std::uint64_t hash) const noexcept {
  const Bucket& bucket = buckets_[NumberFor(hash, state_.load(std::memory_order_acquire))];
  if (const Bucket* next = Next(bucket); next != nullptr) __builtin_prefetch(next, 1);
}

inline Index::Guessed Index::GuessIn(const Bucket& bucket, std::uint64_t hash) const noexcept {
  const unsigned matches = bucket.Match(TagOf(hash));
  if (matches != 0) [[likely]] {
    const auto slot = static_cast<unsigned>(std::countr_zero(matches));
    return {.ref = bucket.refs[slot].load(std::memory_order_relaxed), .may_be_chained = false};
  }
  const Bucket* next = Next(bucket);
  if (next != nullptr) __builtin_prefetch(next, 1);
  return {.ref = kNoItem, .may_be_chained = next != nullptr};
}

inline Index::Guessed Index::Guess(std::uint64_t hash) const noexcept {
  return GuessIn(buckets_[NumberFor(hash, state_.load(std::memory_order_acquire))], hash);
}

inline Index::Guessed Index::GuessChained(std::uint64_t hash) const noexcept {
  const Bucket* next = Next(buckets_[NumberFor(hash, state_.load(std::memory_order_acquire))]);
  return next != nullptr ? GuessIn(*next, hash) : Guessed{};
}

template <class Fn>
void Index::ForEach(Fn&& fn) {
  // Bucket after bucket; a split moves references to a higher number, which comes later.
  for (std::uint32_t number = 0; number < bucket_count(); ++number) {
    Acquire(buckets_[number]);
    for (Bucket* bucket = &buckets_[number]; bucket != nullptr; bucket = Next(*bucket)) {
      unsigned occupied = bucket->occupied.load(std::memory_order_relaxed);
      for (; occupied != 0; occupied &= occupied - 1) {
        fn(bucket->refs[std::countr_zero(occupied)].load(std::memory_order_relaxed));
      }
    }
    Release(buckets_[number]);
  }
}

[[noreturn]] void IndexIsBroken(const char* what);

template <class HashOf>
std::uint64_t Index::CheckInvariants(HashOf&& hash_of) {
  std::uint64_t items = 0;
  const std::uint64_t state = state_.load(std::memory_order_acquire);
  for (std::uint32_t number = 0; number < bucket_count(); ++number) {
    Bucket& head = buckets_[number];
    if (head.lock.load() != 0) IndexIsBroken("a bucket is locked");
    for (Bucket* bucket = &head; bucket != nullptr; bucket = Next(*bucket)) {
      if (bucket != &head && bucket->occupied.load() == 0)
        IndexIsBroken("an empty overflow bucket");
      for (unsigned slot = 0; slot < kBucketSlots; ++slot) {
        if ((bucket->occupied.load() >> slot & 1) == 0) continue;
        const std::uint64_t hash = hash_of(bucket->refs[slot].load());
        if (NumberFor(hash, state) != number) IndexIsBroken("an item is in the wrong bucket");
        if (bucket->Tag24(slot) != Tag24Of(hash)) IndexIsBroken("a tag is wrong");
        ++items;
      }
    }
  }
  return items;
}

}  // namespace larder::slab
