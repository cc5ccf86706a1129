// RemovalRecords: which keys were removed from the cache not long ago, when, and why.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "slab/ids.h"
#include "slab/memory/zeroed_array.h"

namespace larder::slab {

// Why an item was removed.
enum class RemovalReason : std::uint8_t {
  // Room was needed for other items.
  kEvicted,
  // The page of the item was needed elsewhere.
  kMoved,
  // The item's expiry had passed.
  kExpired,
  // A client deleted the key.
  kDeleted,
  // A client flushed the cache.
  kFlushed,
  // A client dropped all keys with a prefix of this key.
  kDropped,
  // A set of the key was refused because of its size, so that the old item was out of date.
  kTooLarge,
  // A set of the key was refused for lack of memory, so that the old item was out of date.
  kNoMemory,
};
// The number of reasons.
inline constexpr std::size_t kRemovalReasons = 8;

// How and when a key was removed. All times in seconds.
struct RemovalRecord {
  RemovalReason reason = RemovalReason::kEvicted;
  // Class of the item; 0, for kTooLarge and kNoMemory only: a set was refused and there was no
  // item.
  ClassId class_id = 0;
  // Time between the last use of the item and its end.
  std::uint32_t idle_s = 0;
  // Time between the last write of the item and its end.
  std::uint32_t age_s = 0;
  // Time since its end. The end of an expired, flushed or dropped item is the moment of the expiry,
  // the flush or the drop.
  std::uint32_t ago_s = 0;

  bool operator==(const RemovalRecord&) const = default;
};

// RemovalRecords remembers the last removal of as many keys as fit into a bound of memory.
//
//   set     |8 entries|      64 bytes, one cache line; the hash of a key selects its set
//   entry   |fingerprint 20|reason 3|class 7|idle 7|age 7|end 20|      0: empty
//
// idle and age are right to an eighth, and exact below eight seconds. The end is a second modulo 12
// days; an entry is valid for ten days. If a set is full, a new entry replaces one of the oldest
// second. A key is taken for another one if the same 20 bits are in one of 8 entries: for a key
// that was never removed the odds are 1 in 131,000 at most, however many keys were removed.
//
// Threads:    atomic; any thread may call any method, but Resize, and also ForgetOld, only one
//             thread at a time. Two removals that meet in a set may cost one of the two records, or
//             one that was there.
// Owns:       the table, outside the arena; it takes memory only for the parts that removals have
//             touched.
// Invariants: a key has one entry at most, as long as its removals happen one after the other.
class RemovalRecords {
 public:
  // Seconds for which a record is valid.
  static constexpr std::uint32_t kRememberedS = 10 * 24 * 60 * 60;
  // The odds that a key that was never removed is taken for one that was, if its set is full.
  static constexpr double kFalseOdds = 8.0 / (1 << 20);

  // Makes room for `bytes` of entries, which Resize can change up to `bytes_max`. REQUIRES: the
  // caller checks ok() before use: it is false if the kernel refused the memory.
  RemovalRecords(std::uint64_t bytes, std::uint64_t bytes_max);
  RemovalRecords(RemovalRecords&&) = delete;

  bool ok() const { return sets_.ok() && touched_.ok(); }

  // Prefetches the cache line that the removal of this key will write.
  void Prefetch(std::uint64_t hash) const noexcept { __builtin_prefetch(&SetOf(hash), 1); }
  // Records a removal. Replaces the key's older record. `record.ago_s` is relative to `now_s`, Unix
  // time by the server's own clock.
  void Add(std::uint64_t hash, const RemovalRecord& record, std::uint32_t now_s) noexcept;
  // The valid record of this key; nothing if there is none.
  std::optional<RemovalRecord> Find(std::uint64_t hash, std::uint32_t now_s) const noexcept;

  // Forgets records that are no longer valid in a small part of the table. Call it once a second.
  void ForgetOld(std::uint32_t now_s) noexcept;
  // Changes the size of the table. All records are forgotten.
  void Resize(std::uint64_t bytes) noexcept;

  // Bytes of the table.
  std::uint64_t bytes() const noexcept { return set_count() * sizeof(Set); }
  // Bytes of the table that the system has backed with memory.
  std::uint64_t resident_bytes() const noexcept;

 private:
  // Entries of a set.
  static constexpr std::uint32_t kWays = 8;
  // The unit in which the kernel gives memory.
  static constexpr std::size_t kBlockBytes = 4096;

  struct alignas(64) Set {
    std::atomic<std::uint64_t> entries[kWays];
  };
  static_assert(sizeof(Set) == 64 && std::atomic<std::uint64_t>::is_always_lock_free);

  std::uint64_t set_count() const noexcept { return set_count_.load(std::memory_order_relaxed); }
  // The set of a key, from the high half of the hash.
  std::uint64_t NumberFor(std::uint64_t hash) const noexcept {
    return (hash >> 32) * set_count() >> 32;
  }
  Set& SetOf(std::uint64_t hash) const noexcept { return sets_[NumberFor(hash)]; }
  // The flag of the block that the set lies in.
  std::atomic<bool>& TouchedOf(std::uint64_t set_number) const noexcept {
    return touched_[set_number / (kBlockBytes / sizeof(Set))];
  }

  const std::uint64_t set_count_max_;
  const ZeroedArray<Set> sets_;
  // By block: a removal was recorded there. Reading any other block would make the kernel back it
  // with memory.
  const ZeroedArray<std::atomic<bool>> touched_;
  // Relaxed: no other data depend on it.
  std::atomic<std::uint64_t> set_count_;
  // The set that ForgetOld looked at last. For ForgetOld only.
  std::uint64_t forget_cursor_ = 0;
};

}  // namespace larder::slab
