// PrefixTable: numbers the prefixes of keys.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "slab/lane.h"
#include "slab/policies.h"
#include "slab/sync/mutex.h"

namespace larder::slab {

// PrefixTable gives a number, its row, to each of the first prefixes that it sees. The prefix of a
// key is what stands before the first delimiter; it may be empty.
//
//   key      u s e r : 1 7              prefix "user"
//   head     u s e r : 0 0 0 0 ...      16 bytes, compared as two words
//   slots    |head, row|-|head, row|head, row|- ...     open addressing, half of them stay empty
//
// The row kOthers is for all other keys: those without a delimiter in their first kHeadBytes bytes,
// and those whose prefix was first seen when kPrefixRows - 1 others had rows. A prefix keeps its
// row as long as the table lives. So a key is always of the same row: what is counted there when
// its item comes is subtracted there when the item goes.
//
// Threads:    internally locked. Find takes no lock.
// Owns:       its slots and the names of the rows, 16 KB.
// Invariants: a slot is written once; its row is released behind its head.
class PrefixTable {
 public:
  // Bytes of a key among which the delimiter must be: the longest prefix is one shorter.
  static constexpr std::size_t kHeadBytes = 16;
  static_assert(kHeadBytes == kPrefixBytesMax + 1);

  // `seed`: nobody who does not know it can choose prefixes that fall into one slot.
  PrefixTable(char delimiter, std::uint64_t seed);

  char delimiter() const { return delimiter_; }

  // The row of the key's prefix; kOthers if it has none.
  PrefixRow Find(std::string_view key) const noexcept;
  // The same, but a prefix without a row gets one while there is room.
  PrefixRow FindOrAdd(std::string_view key) noexcept LARDER_EXCLUDES(mutex_);

  // The number of rows, kOthers counted: rows are numbered from 0 to row_count() - 1.
  std::size_t row_count() const { return row_count_.load(std::memory_order_acquire); }
  // The prefix of a row, without the delimiter. REQUIRES: 0 < row < row_count().
  std::string NameOf(PrefixRow row) const;

 private:
  static constexpr std::size_t kSlots = 512;
  static_assert(kSlots >= 2 * (kPrefixRows - 1));

  // A prefix with its delimiter, filled up with zeros. A delimiter is never 0, so no prefix is
  // the beginning of another one, and both words are 0 if there is none.
  struct Head {
    std::uint64_t low = 0;
    std::uint64_t high = 0;

    bool is_prefix() const { return (low | high) != 0; }
    bool operator==(const Head&) const = default;
  };
  struct Slot {
    Head head;
    // kOthers: the slot is empty. Released by the thread that fills the slot.
    std::atomic<PrefixRow> row{kOthers};
  };

  // The bytes of a key or prefix of at most kHeadBytes bytes, with zeros behind it. This and Add()
  // are not inlined: with them the common case would save six registers.
  [[gnu::noinline]] static Head Padded(std::string_view text) noexcept;
  // The prefix of the key.
  Head HeadOf(std::string_view key) const noexcept;
  std::size_t SlotOf(const Head& head) const noexcept {
    return (head.low * low_factor_ + head.high * high_factor_) >> (64 - std::bit_width(kSlots - 1));
  }
  // The row of this prefix; kOthers if it has none.
  PrefixRow RowOf(const Head& head) const noexcept;
  [[gnu::noinline, gnu::cold]] PrefixRow Add(Head head) noexcept LARDER_EXCLUDES(mutex_);

  const char delimiter_;
  // The delimiter in every byte, for one comparison with all bytes of a head.
  alignas(kHeadBytes) std::array<char, kHeadBytes> delimiters_;
  // Odd, and drawn from the seed.
  const std::uint64_t low_factor_;
  const std::uint64_t high_factor_;
  std::array<Slot, kSlots> slots_;
  // The head of each row: written before row_count_ is released.
  std::array<Head, kPrefixRows> heads_;
  std::atomic<std::size_t> row_count_{1};

  // Held by the thread that adds a prefix.
  Mutex mutex_;
};

}  // namespace larder::slab
