// Keys that left the cache, and why.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "slab/ids.h"
#include "slab/memory/zeroed_array.h"

namespace larder::slab {

enum class RemovalReason : std::uint8_t {
  kEvicted,   // Room was needed.
  kMoved,     // The page that it lay in was needed elsewhere.
  kExpired,   // Its time was over.
  kDeleted,   // A client deleted it.
  kFlushed,   // A client flushed everything.
  kTooLarge,  // A set of the key was refused for its size, which made the old item out of date.
  kNoMemory,  // The same for want of memory.
};
inline constexpr std::size_t kRemovalReasons = 7;

// How and when a key left.
struct RemovalRecord {
  RemovalReason reason = RemovalReason::kEvicted;
  ClassId class_id = 0;      // Of the item; 0: a refused set, and there was none.
  std::uint32_t idle_s = 0;  // Between its last use and its end.
  std::uint32_t age_s = 0;   // Between its last write and its end.
  std::uint32_t ago_s = 0;   // Since its end.

  bool operator==(const RemovalRecord&) const = default;
};

// RemovalRecords remembers the last removal of as many keys as fit into a bound of memory.
//
//   set     |8 entries|      64 bytes, one cache line; a key's set is a matter of its hash
//   entry   |fingerprint 20|reason 3|class 7|idle 7|age 7|end 20|      0: empty
//
// idle and age are right to an eighth, and exact below eight seconds; the end is the second, modulo
// 12 days, after ten of which an entry counts no more. A full set forgets one of its oldest second.
// That a key is taken for another needs the same 20 bits in one of 8 entries: for a key that never
// left the odds are 1 in 131,000 at most, however many keys left.
//
// Threads: lock-free; any thread may call anything; Resize, and ForgetOld, one at a time. Two
//          removals that meet in a set may cost one of them, or one that is there.
// Owns:    the table, outside the arena; of it, takes only what removals have touched.
// Invariants: a key has one entry at most, as long as its removals come one after the other.
class RemovalRecords {
 public:
  static constexpr std::uint32_t kRememberedS = 10 * 24 * 60 * 60;
  // The odds that a key which never left is taken for one that did, if its set is full.
  static constexpr double kFalseOdds = 8.0 / (1 << 20);

  // Room for `bytes` of entries, to be resized up to bytes_max. Check ok(): false when the kernel
  // refuses.
  RemovalRecords(std::uint64_t bytes, std::uint64_t bytes_max);
  RemovalRecords(RemovalRecords&&) = delete;

  bool ok() const { return sets_.ok() && touched_.ok(); }

  // A removal that is to come will touch this line.
  void Prefetch(std::uint64_t hash) const noexcept { __builtin_prefetch(&SetOf(hash), 1); }
  void Add(std::uint64_t hash, const RemovalRecord& record, std::uint32_t now_s) noexcept;
  std::optional<RemovalRecord> Find(std::uint64_t hash, std::uint32_t now_s) const noexcept;

  // Once a second: forgets what is too old, in a small part of the table.
  void ForgetOld(std::uint32_t now_s) noexcept;
  // Forgets everything.
  void Resize(std::uint64_t bytes) noexcept;

  std::uint64_t bytes() const noexcept { return set_count() * sizeof(Set); }
  // What the system has given to it.
  std::uint64_t resident_bytes() const noexcept;

 private:
  static constexpr std::uint32_t kWays = 8;
  static constexpr std::size_t kBlockBytes = 4096;  // The kernel's unit.

  struct alignas(64) Set {
    std::atomic<std::uint64_t> entries[kWays];
  };
  static_assert(sizeof(Set) == 64 && std::atomic<std::uint64_t>::is_always_lock_free);

  std::uint64_t set_count() const noexcept { return set_count_.load(std::memory_order_relaxed); }
  std::uint64_t NumberFor(std::uint64_t hash) const noexcept {
    return (hash >> 32) * set_count() >> 32;
  }
  Set& SetOf(std::uint64_t hash) const noexcept { return sets_[NumberFor(hash)]; }
  // Of the block that the set lies in.
  std::atomic<bool>& TouchedOf(std::uint64_t set_number) const noexcept {
    return touched_[set_number / (kBlockBytes / sizeof(Set))];
  }

  const std::uint64_t set_count_max_;
  const ZeroedArray<Set> sets_;
  const ZeroedArray<std::atomic<bool>> touched_;  // By block: who reads another would map it too.
  std::atomic<std::uint64_t> set_count_;          // Relaxed: nothing hangs on its order.
  std::uint64_t forget_cursor_ = 0;               // ForgetOld's.
};

}  // namespace larder::slab
