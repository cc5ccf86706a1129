// PrefixShares: which prefixes have more of the memory than they may, or less than they are to
// keep.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "slab/check.h"
#include "slab/engine/prefix_table.h"
#include "slab/lane.h"
#include "slab/memory/arena.h"
#include "slab/policies.h"

namespace larder::slab {

// Where a prefix stands between its floor and its ceiling.
enum class ShareStanding : std::uint8_t {
  // It may lose items, like others.
  kWithin,
  // It has no more than its floor: others take nothing from it.
  kAtFloor,
  // It has more than its ceiling: it makes room for others first.
  kAboveCeiling,
};

// PrefixShares counts the bytes of chunks of the prefixes that have a PrefixShare, and compares
// them with the present memory limit. All threads count in one place, so the numbers are exact at
// every moment.
//
// Threads:    atomic.
// Owns:       the counts. The arena must outlive it.
// Invariants: the prefix of shares()[i] has the row i + 1.
class PrefixShares {
 public:
  // Gives the prefixes their rows. REQUIRES: at most kPrefixSharesMax shares, of different
  // prefixes, each of at most kPrefixBytesMax bytes; the table is empty.
  PrefixShares(const Arena& arena, std::span<const PrefixShare> shares, PrefixTable& table)
      : arena_(arena), count_(shares.size()) {
    LARDER_ASSERT(count_ <= kPrefixSharesMax);
    LARDER_ASSERT(table.row_count() == 1);
    for (std::size_t i = 0; i < count_; ++i) {
      const PrefixRow row = table.FindOrAdd(shares[i].prefix + table.delimiter());
      LARDER_ASSERT(row == i + 1);
      shares_[row].floor_percent = shares[i].floor_percent;
      shares_[row].ceiling_percent = shares[i].ceiling_percent;
    }
  }

  // False: no prefix has a share.
  bool any() const { return count_ != 0; }

  // Counts that a prefix has so many bytes more.
  void Add(PrefixRow row, std::uint64_t bytes) noexcept {
    if (row != kOthers && row <= count_) {
      shares_[row].held_bytes.fetch_add(bytes, std::memory_order_relaxed);
    }
  }
  void Subtract(PrefixRow row, std::uint64_t bytes) noexcept { Add(row, 0 - bytes); }

  // Where the prefix stands; kWithin if it has no share.
  ShareStanding StandingOf(PrefixRow row) const noexcept {
    if (row == kOthers || row > count_) return ShareStanding::kWithin;
    const Share& share = shares_[row];
    const std::uint64_t held = share.held_bytes.load(std::memory_order_relaxed);
    const std::uint64_t percent_bytes = arena_.limit_bytes() / 100;
    if (held > percent_bytes * share.ceiling_percent) return ShareStanding::kAboveCeiling;
    // A floor of 0 protects nothing.
    const bool is_kept = share.floor_percent != 0 && held <= percent_bytes * share.floor_percent;
    return is_kept ? ShareStanding::kAtFloor : ShareStanding::kWithin;
  }
  // True if a prefix has more than its ceiling.
  bool any_above() const noexcept {
    for (PrefixRow row = 1; row <= count_; ++row) {
      if (StandingOf(row) == ShareStanding::kAboveCeiling) return true;
    }
    return false;
  }

 private:
  struct Share {
    std::uint32_t floor_percent = 0;
    std::uint32_t ceiling_percent = 100;
    // Written by all threads. Relaxed: a decision needs the number alone.
    std::atomic<std::uint64_t> held_bytes{0};
  };

  const Arena& arena_;
  const std::size_t count_;
  // By row; constant but for the counts.
  std::array<Share, kPrefixSharesMax + 1> shares_;
};

}  // namespace larder::slab
