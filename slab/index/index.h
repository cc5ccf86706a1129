// Index: the hash table that maps the hash of a key to the item of that key.
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
#include "slab/sync/atomic.h"
#include "slab/sync/mutex.h"

namespace larder::slab {

// The table begins with 2^12 = 4096 buckets.
inline constexpr unsigned kIndexLevelMin = 12;
// Items in a bucket before its chain grows.
inline constexpr std::size_t kBucketSlots = 8;
// Buckets are split when there are more items per bucket than this on average.
inline constexpr double kItemsPerBucketMax = 6.5;
// So many buckets are split in a run. Each run changes a word that all lookups read.
inline constexpr std::uint32_t kSplitRun = 16;

// The capability of having a bucket locked, for clang's analysis. A thread locks one bucket at a
// time (apart from those that TryLock gives it), so one name is enough for all buckets of all
// indexes. The analysis finds functions that need a locked bucket and are called without one, and
// functions that lock a bucket and are called with one locked.
//
// Threads:    immutable.
class LARDER_CAPABILITY("bucket") BucketRole {};
inline constexpr BucketRole kBucketLocked;

// Index is a linear-hashing table whose buckets are cache lines.
//
//   bucket, 64 bytes   |lock 1|occupied 1|- 2|overflow 4|tags 8 x 2|low tags 8 x 1|refs 8 x 4|
//   hash, 64 bits      |- 28|tag 16|low tag 8|12|   bucket number: the low bits, as many as needed
//
// One SSE2 comparison finds the slots of a bucket with a matching 16-bit tag. The low tag holds the
// bits of the hash between the bucket number of the smallest table and the tag, so that a split can
// decide where a slot belongs without looking at the item. A bucket with more than 8 items has a
// chain of overflow buckets.
//
// The table lies in a reserved address range and grows by splitting a few buckets at a time, one
// after the other: there is no stop and no second table. At 6.5 items per bucket the index takes 12
// bytes per item, overflow buckets included; seven slots of 8 bytes (32-bit tag) in a cache line
// took 13.4.
//
// Threads:    internally locked: each bucket has a spin bit, in the cache line that every lookup
//             reads anyway. Prefetch*, Guess* and bucket_count() are atomic. All fields of a bucket
//             are written under its lock, with relaxed atomics, because Prefetch* and Guess* read
//             them without it.
// Owns:       the table. Items belong to their classes.
// Invariants: each linked item has one reference, in the chain of the bucket that the hash of its
//             key belongs to. Only the last bucket of a chain has free slots.
// Source:     W. Litwin, "Linear hashing", VLDB 1980.
class Index {
 public:
  class Guard;
  class BucketLock;
  class Slot;

  // Creates an empty table and reserves addresses for items_max items. Fails with the system's
  // reason.
  static Result<std::unique_ptr<Index>, std::string> Create(std::uint64_t items_max);
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  // Locks the bucket of `hash`, and waits if another thread holds it. REQUIRES: the caller has no
  // other Guard that holds a bucket, otherwise two threads could wait for each other. Use a
  // BucketLock where clang's analysis is to see the lock.
  [[nodiscard]] Guard Lock(std::uint64_t hash) noexcept;
  // Locks the bucket with this number, and waits if another thread holds it. REQUIRES: as for Lock;
  // number < bucket_count().
  [[nodiscard]] Guard LockBucket(std::uint32_t number) noexcept;
  // Locks the bucket of `hash` if that needs no waiting; otherwise returns an empty Guard. If
  // `held` (may be nullptr) holds that very bucket, returns a Guard that shares it and does not
  // unlock it.
  [[nodiscard]] Guard TryLock(std::uint64_t hash, const Guard* held) noexcept;

  // Prefetches the bucket of a key.
  void PrefetchBucket(std::uint64_t hash) const noexcept;
  // Prefetches the first overflow bucket of a key, which a removal will look into. It reads the
  // bucket itself, so that should have been prefetched before.
  void PrefetchOverflow(std::uint64_t hash) const noexcept;
  // What a lookup would probably find. It is found by the tag only and without a lock, so it may be
  // wrong; use it to prefetch.
  struct Guessed {
    // The item to prefetch; kNoItem: none found in this bucket.
    ItemRef ref = kNoItem;
    // True: not in this bucket, but the chain goes on; the overflow bucket was prefetched.
    bool may_be_chained = false;
  };
  [[nodiscard]] Guessed Guess(std::uint64_t hash) const noexcept;
  // What a lookup would find in the first overflow bucket of the key.
  [[nodiscard]] Guessed GuessChained(std::uint64_t hash) const noexcept;

  // Adds `items_delta`, the items added less the items removed since the caller's last call, to the
  // count, and splits buckets if the table holds too many items for its size: kSplitRun at a time,
  // at most as many as items were added, but for the last run. Callers report many items at a time,
  // so that the count is rarely written. `lane` as for Guard::Insert. REQUIRES:
  // the caller has no bucket locked.
  void Grow(std::int64_t items_delta, std::uint32_t lane) noexcept;

  // The number of buckets now, without overflow buckets.
  std::uint32_t bucket_count() const noexcept {
    return static_cast<std::uint32_t>(state_.load(std::memory_order_acquire));
  }
  // Takes the memory for `items` items from the system now.
  void PrefaultFor(std::uint64_t items) noexcept;

  // The memory of the table, for a MemoryWarmer. REQUIRES: PrefaultFor was not called.
  GrowingMemory& growing_buckets() { return growing_buckets_; }
  GrowingMemory& growing_overflow() { return growing_overflow_; }

  // Bytes of the buckets in use, overflow buckets included; approximate while other threads write.
  std::uint64_t used_bytes() const noexcept;

  // Bytes that the system has backed with memory, those touched ahead of need included.
  std::uint64_t resident_bytes() const noexcept {
    return ResidentBytes(buckets_.data(), buckets_.bytes()) +
           ResidentBytes(overflow_.data(), overflow_.bytes());
  }

  // Calls fn(ref) for every reference, with the lock of its bucket held. The table as a whole is
  // not locked: a reference that stays is not missed, but may be met twice if its bucket is split
  // meanwhile.
  template <class Fn>
  void ForEach(Fn&& fn);

  // For tests: aborts if an invariant of the table is broken. hash_of(ref) returns the hash of the
  // item's key. Returns the number of references. REQUIRES: no other thread is active.
  template <class HashOf>
  std::uint64_t CheckInvariants(HashOf&& hash_of);

 private:
  struct alignas(64) Bucket {
    // 1: a thread has locked the bucket and its chain. Only that of the first bucket of a chain is
    // used.
    Atomic<std::uint8_t> lock{0};
    // A bit for each slot in use.
    std::atomic<std::uint8_t> occupied{0};
    // Number of the next bucket of the chain; 0: none.
    std::atomic<std::uint32_t> overflow{0};
    // By slot: bits of the hash, and the item. Four 16-bit tags in a word.
    std::atomic<std::uint64_t> tags[2]{};
    std::atomic<std::uint64_t> low_tags{0};
    std::atomic<ItemRef> refs[kBucketSlots]{};

    // Returns a bit for each slot in use that has this tag.
    unsigned Match(std::uint16_t tag) const noexcept;
    // Fills a slot and marks it as used. REQUIRES (this and Clear): the bucket's chain is locked.
    void Write(unsigned slot, std::uint32_t tag24, ItemRef ref) noexcept;
    // The 24 bits of the hash that a slot has: tag and low tag.
    std::uint32_t Tag24(unsigned slot) const noexcept;
    // Marks a slot as free.
    void Clear(unsigned slot) noexcept;
  };
  static_assert(sizeof(Bucket) == 64);

  // Where the tag lies in the hash.
  static constexpr unsigned kTagShift = kIndexLevelMin + 8;
  static std::uint16_t TagOf(std::uint64_t hash) {
    return static_cast<std::uint16_t>(hash >> kTagShift);
  }
  static std::uint32_t Tag24Of(std::uint64_t hash) {
    return static_cast<std::uint32_t>(hash >> kIndexLevelMin) & 0xffffff;
  }

  Index(ZeroedArray<Bucket> buckets, std::uint64_t buckets_max, ZeroedArray<Bucket> overflow,
        std::uint64_t overflow_max);

  // state = mask << 32 | bucket count, where mask covers the bucket numbers of the level that is
  // being filled. Returns the number of the bucket of `hash`: one that is not split off yet belongs
  // to the bucket with one bit less.
  static std::uint32_t NumberFor(std::uint64_t hash, std::uint64_t state) noexcept {
    const auto mask = static_cast<std::uint32_t>(state >> 32);
    const auto count = static_cast<std::uint32_t>(state);
    const auto number = static_cast<std::uint32_t>(hash) & mask;
    return number < count ? number : number & (mask >> 1);
  }
  // The state of a table with `count` buckets.
  static std::uint64_t StateOf(std::uint32_t count) noexcept {
    const std::uint64_t mask = std::bit_ceil(std::uint64_t{count} + 1) - 1;
    return mask << 32 | count;
  }

  // Locks a bucket, and waits if necessary.
  static void Acquire(Bucket& bucket) noexcept;
  // Lock() if the bucket was locked or the table has grown meanwhile.
  Bucket& LockSlowly(std::uint64_t hash) noexcept;
  // Locks a bucket if it is free. The load before the exchange keeps the cache line shared while
  // another thread holds the bucket.
  [[gnu::always_inline]] static bool TryAcquire(Bucket& bucket) noexcept {
    return bucket.lock.load(std::memory_order_relaxed) == 0 &&
           bucket.lock.exchange(1, std::memory_order_acquire) == 0;
  }
  static void Release(Bucket& bucket) noexcept { bucket.lock.store(0, std::memory_order_release); }

  // The next bucket of a chain, nullptr at its end.
  Bucket* Next(const Bucket& bucket) const noexcept {
    const std::uint32_t number = bucket.overflow.load(std::memory_order_relaxed);
    return number == 0 ? nullptr : &overflow_[number];
  }
  // Guess() in one bucket. Prefetches the next bucket of the chain if nothing was found.
  Guessed GuessIn(const Bucket& bucket, std::uint64_t hash) const noexcept;
  // Adds a reference to a chain. REQUIRES (this and Compact): the chain is locked.
  void Insert(Bucket& head, std::uint32_t tag24, ItemRef ref, std::uint32_t lane) noexcept;
  // Closes the gaps of a chain after a removal, so that only its last bucket has free slots.
  void Compact(Bucket& head, std::uint32_t lane) noexcept;

  // A stock of free overflow buckets for some lanes, so that threads that store do not meet at one
  // list: where chains are common, every few stores take an overflow bucket and every few removals
  // give one back. All stocks together hold 64 KiB of buckets at most.
  struct alignas(128) Stock {
    // Half of them are taken and given back at a time.
    static constexpr std::uint32_t kMax = 64;

    Mutex mutex;
    std::uint32_t count LARDER_GUARDED_BY(mutex) = 0;
    std::array<std::uint32_t, kMax> numbers LARDER_GUARDED_BY(mutex);
  };
  // Lanes share stocks if there are more lanes than stocks.
  static constexpr std::size_t kStocks = 16;

  Stock& StockOf(std::uint32_t lane) noexcept { return stocks_[lane % kStocks]; }
  std::uint32_t TakeOverflow(std::uint32_t lane) noexcept LARDER_EXCLUDES(overflow_mutex_);
  void ReturnOverflow(std::uint32_t number, std::uint32_t lane) noexcept
      LARDER_EXCLUDES(overflow_mutex_);
  void FillHalf(Stock& stock) noexcept LARDER_REQUIRES(stock.mutex);
  void EmptyHalf(Stock& stock) noexcept LARDER_REQUIRES(stock.mutex);

  // Splits the next buckets in turn, up to kSplitRun, each into itself and a new last bucket.
  void SplitRun(std::uint32_t lane) noexcept LARDER_REQUIRES(split_mutex_);
  // Moves the references from one bucket to a new one whose hashes have bit `level`. REQUIRES:
  // `from` is locked, and no other thread knows `to`.
  void Split(Bucket& from, Bucket& to, unsigned level, std::uint32_t lane) noexcept;

  const ZeroedArray<Bucket> buckets_;
  const std::uint64_t buckets_max_;
  // [0] is never used.
  const ZeroedArray<Bucket> overflow_;
  const std::uint64_t overflow_max_;

  // Written under split_mutex_ by the thread that splits. Its release publishes the contents of the
  // new bucket.
  Atomic<std::uint64_t> state_;
  // Approximate, because callers add in batches. Relaxed: no other data depend on it. It begins
  // another cache line, together with what else changes, because every lookup reads the fields
  // above.
  alignas(64) std::atomic<std::int64_t> items_{0};

  // Held by the thread that splits a bucket.
  Mutex split_mutex_;
  // Buckets with a smaller number were announced to growing_buckets_.
  std::uint64_t usable_buckets_ LARDER_GUARDED_BY(split_mutex_) = 0;
  // See Stock. They are filled from the list that begins with overflow_free_, and from what was
  // never used.
  mutable std::array<Stock, kStocks> stocks_;
  // Locked after a stock's mutex; nothing is locked under it.
  mutable Mutex overflow_mutex_;
  // First bucket of the common free list, linked by Bucket::overflow; 0: none.
  std::uint32_t overflow_free_ LARDER_GUARDED_BY(overflow_mutex_) = 0;
  // Overflow buckets from this number on were never used.
  std::uint32_t overflow_touched_ LARDER_GUARDED_BY(overflow_mutex_) = 1;
  // Overflow buckets below this number were announced to growing_overflow_.
  std::uint64_t usable_overflow_ LARDER_GUARDED_BY(overflow_mutex_) = 0;

  GrowingMemory growing_buckets_;
  GrowingMemory growing_overflow_;
  // Overflow buckets that are in use or in a stock.
  std::uint32_t overflow_given_ LARDER_GUARDED_BY(overflow_mutex_) = 0;
};

// Slot is the place where a Guard has found a reference.
//
// Threads:    one worker, which holds the guard. It is valid until the guard's chain is changed.
class Index::Slot {
 public:
  // Not found.
  Slot() = default;

  explicit operator bool() const { return bucket_ != nullptr; }
  // The reference that was found. REQUIRES: it was found.
  ItemRef ref() const {
    LARDER_ASSERT(bucket_ != nullptr);
    return ref_;
  }

 private:
  friend class Guard;
  Slot(Bucket* bucket, unsigned number, ItemRef ref)
      : bucket_(bucket), number_(number), ref_(ref) {}

  // True if the reference is still in its place.
  bool IsCurrent() const { return bucket_->refs[number_].load(std::memory_order_relaxed) == ref_; }

  Bucket* bucket_ = nullptr;
  unsigned number_ = 0;
  // A copy of the reference, so that ref() does not have to load it again.
  ItemRef ref_ = kNoItem;
};

// Guard holds the lock of one bucket and its chain until it is destroyed.
//
// Threads:    one worker.
// Owns:       the lock, unless TryLock made it a guard that shares the lock of another.
class Index::Guard {
 public:
  // Holds no bucket.
  Guard() = default;
  Guard(Guard&& other) noexcept : index_(other.index_), bucket_(other.bucket_), lock_(other.lock_) {
    other.bucket_ = nullptr;
  }
  Guard& operator=(Guard&&) = delete;
  ~Guard() { Unlock(); }

  // True if it holds a bucket.
  explicit operator bool() const { return bucket_ != nullptr; }
  // Gives the lock up before the guard is destroyed. Does nothing if there is none.
  [[gnu::always_inline]] void Unlock() noexcept {
    if (bucket_ != nullptr && lock_ == LockKind::kOwn) Release(*bucket_);
    bucket_ = nullptr;
  }

  // The first slot of the chain whose tag matches `hash` and for which is_it(ref) is true; an empty
  // Slot if there is none. For this and the following methods: REQUIRES: the guard holds the bucket
  // that `hash` belongs to.
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
  // The slot that has the reference `ref`.
  Slot Find(std::uint64_t hash, ItemRef ref) const {
    return Find(hash, [ref](ItemRef other) { return other == ref; });
  }

  // Calls fn(ref) for every reference of the chain, whatever its hash. fn must not change the
  // chain.
  template <class Fn>
  void ForEach(Fn&& fn) const {
    for (const Bucket* bucket = bucket_; bucket != nullptr; bucket = index_->Next(*bucket)) {
      unsigned occupied = bucket->occupied.load(std::memory_order_relaxed);
      for (; occupied != 0; occupied &= occupied - 1) {
        fn(bucket->refs[std::countr_zero(occupied)].load(std::memory_order_relaxed));
      }
    }
  }

  // Adds a reference. Lanes with different numbers seldom meet at the free overflow buckets.
  // REQUIRES: `ref` is not in the bucket yet.
  void Insert(std::uint64_t hash, ItemRef ref, std::uint32_t lane) noexcept {
    LARDER_ASSERT(Holds(hash));
    LARDER_ASSERT(ref != kNoItem && !Find(hash, ref));
    index_->Insert(*bucket_, Tag24Of(hash), ref, lane);
  }
  // Puts another reference in the place of the one in the slot, for an item with the same key.
  // REQUIRES: this guard has found the slot, and its chain has not changed since.
  void Replace(const Slot& slot, ItemRef ref) noexcept {
    LARDER_ASSERT(slot && slot.IsCurrent() && ref != kNoItem);
    slot.bucket_->refs[slot.number_].store(ref, std::memory_order_relaxed);
  }
  // Removes the reference in the slot, and closes the gap. REQUIRES: this guard has found the slot,
  // and its chain has not changed since.
  void Remove(const Slot& slot, std::uint32_t lane) noexcept {
    LARDER_ASSERT(slot && slot.IsCurrent() && slot.ref() != kNoItem);
    slot.bucket_->Clear(slot.number_);
    if (bucket_->overflow.load(std::memory_order_relaxed) != 0) index_->Compact(*bucket_, lane);
  }

  // True if the bucket that `hash` belongs to is locked by this guard.
  bool Holds(std::uint64_t hash) const noexcept {
    const std::uint64_t state = index_->state_.load(std::memory_order_acquire);
    return bucket_ == &index_->buckets_[NumberFor(hash, state)];
  }
  // States to clang's analysis that this guard, which TryLock has returned, holds a bucket.
  // REQUIRES: it is not empty.
  void AssertHeld() const noexcept LARDER_ASSERT_CAPABILITY(kBucketLocked) {
    LARDER_ASSERT(bucket_ != nullptr);
  }

 private:
  friend class Index;
  // kShared: the lock is that of another guard, which unlocks the bucket.
  enum class LockKind : std::uint8_t { kShared, kOwn };
  Guard(Index* index, Bucket* bucket, LockKind lock)
      : index_(index), bucket_(bucket), lock_(lock) {}

  Index* index_ = nullptr;
  Bucket* bucket_ = nullptr;
  LockKind lock_ = LockKind::kShared;
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
  return Guard(this, bucket, Guard::LockKind::kOwn);
}

inline Index::Guard Index::LockBucket(std::uint32_t number) noexcept {
  LARDER_ASSERT(number < bucket_count());
  Acquire(buckets_[number]);
  return Guard(this, &buckets_[number], Guard::LockKind::kOwn);
}

// BucketLock is a Guard that waits for its bucket, and that clang's analysis can see.
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
  // One bucket after the other. A split moves references to a bucket with a higher number, which
  // comes later.
  for (std::uint32_t number = 0; number < bucket_count(); ++number) LockBucket(number).ForEach(fn);
}

// Reports on standard error that the table is broken, and aborts.
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
