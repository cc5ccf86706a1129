// DropTable: which prefixes were dropped, for lookups without a lock.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "slab/check.h"
#include "slab/ids.h"
#include "slab/item/item.h"
#include "slab/memory/zeroed_array.h"
#include "slab/sync/atomic.h"

namespace larder::slab {

// A prefix that was dropped. All items whose keys begin with it and whose numbers were drawn before
// `cutoff` are dead.
//
// Threads:    a plain value.
struct DroppedPrefix {
  std::string prefix;
  std::uint64_t cutoff = 0;

  bool operator==(const DroppedPrefix&) const = default;
};

// DropTable finds out whether a key begins with a dropped prefix. Most keys do not, and that is
// known after one multiplication and one look into a filter:
//
//   shortest     the length of the shortest prefix. No shorter key begins with any.
//   filter       |lengths 64|lengths 64| ...     by the hash of the last 8 of the first `shortest`
//                bytes of a key: of how many bytes, modulo 64, the prefixes with these bytes are
//                and, for each of these lengths, by the last 8 bytes that a prefix of it would have
//   entries      |hash 64|end 64|cutoff 64| ...  by the hash of a whole prefix
//
// Prefixes are told apart by their lengths, their last eight bytes and 64 bits of a seeded hash.
//
// There are two sides. One is read and added to; the other is filled when the table has to be
// built anew, and then takes its place. A reader that finds that the sides were exchanged meanwhile
// reads again.
//
// Threads:    MayCover and Covering: any thread, without a lock; they wait for none. All other
//             methods: one thread at a time.
// Owns:       both sides: 2 MB of filters and 6 MB of entries for 65,536 prefixes, and much less
// for
//             few: only what is in use takes memory.
// Invariants: an entry's cutoff only grows until the table is built anew.
class DropTable {
 public:
  // A table for up to `prefixes_max` prefixes. REQUIRES: the caller checks ok() before use: it is
  // false if the kernel refused the memory.
  DropTable(std::uint32_t prefixes_max, std::uint64_t seed);

  bool ok() const { return filters_.ok() && sides_[0].entries.ok() && sides_[1].entries.ok(); }

  // False if no drop has killed the item, by the filter.
  [[gnu::always_inline]] bool MayCover(const Item& item) const noexcept;
  // The cutoff of a drop that has killed the item; 0: there is none.
  std::uint64_t Covering(const Item& item) const noexcept;

  // False if the table has to be built anew, with this prefix, before it can be added.
  bool HasRoomFor(std::string_view prefix) const noexcept;
  // Adds a prefix, or raises its cutoff. REQUIRES: HasRoomFor(prefix).
  void Add(std::string_view prefix, std::uint64_t cutoff) noexcept;
  // Makes the table one of these prefixes and no others. One with the cutoff 0 has killed nothing
  // yet. REQUIRES: at most prefixes_max.
  void Build(std::span<const DroppedPrefix> prefixes) noexcept;

  // Bytes of both sides that are in use.
  std::uint64_t resident_bytes() const noexcept;

 private:
  using Word = Atomic<std::uint64_t>;

  // What tells prefixes apart. `hash` is never 0, which marks an empty entry.
  struct Fingerprint {
    std::uint64_t hash;
    std::uint64_t end;
  };
  struct Entry {
    Word hash;
    Word end;
    Word cutoff;
  };

  // What readers have to know together, in one word:
  //
  //   |generation 32|filter shift 8|window shift 8|window 8|shortest 8|
  //
  //   generation     counts the exchanges of the sides; its last bit says which side is read
  //   filter shift   64 less the binary logarithm of the words of the filter in use
  //   window shift   the bits of the eight that are read of a key that the filter does not know
  //   window         where these eight bytes begin in a key
  //   shortest       see above; 0 if there is no prefix
  class Head {
   public:
    explicit Head(std::uint64_t bits) : bits_(bits) {}
    static Head Of(std::uint32_t generation, std::size_t shortest, std::size_t words) noexcept;

    std::uint64_t bits() const { return bits_; }
    std::uint32_t generation() const { return static_cast<std::uint32_t>(bits_ >> 32); }
    std::size_t side() const { return bits_ >> 32 & 1; }
    std::size_t shortest() const { return bits_ & 0xff; }
    // The number of the filter's word for a key of at least the shortest length. Reads eight bytes
    // of the key, also of a shorter one.
    [[gnu::always_inline]] std::size_t WordFor(const char* key) const noexcept {
      std::uint64_t window = 0;
      std::memcpy(&window, key + (bits_ >> 8 & 0xff), sizeof window);
      // The product has all bytes of the window in its high bits.
      return (window << (bits_ >> 16 & 0x3f)) * kOdd >> (bits_ >> 24 & 0x3f);
    }
    // The number of the filter's word for a prefix of this length with these last bytes.
    std::size_t WordForEnd(std::uint64_t end, std::size_t bytes) const noexcept {
      return (end + bytes) * kOdd >> (bits_ >> 24 & 0x3f);
    }

   private:
    static constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15;

    std::uint64_t bits_;
  };

  // What one of the two tables has besides its filter. All fields are atomic, because a reader may
  // read while they are written; released and acquired, so that a reader that has read what was
  // written for another generation also sees that generation.
  struct Side {
    explicit Side(std::uint32_t capacity) : entries(capacity, HugePages::kNo) {}

    const ZeroedArray<Entry> entries;
    // The number of entries in use, empty ones included, less one; a power of two less one.
    Word entry_mask{0};
    // A bit for each length of which there is a prefix.
    std::array<Word, kKeyBytesMax / 64 + 1> lengths{};
    // Prefixes. For the thread that writes.
    std::size_t count = 0;
  };

  Head head() const noexcept { return Head(head_.load(std::memory_order_acquire)); }
  // The filter of a side.
  Word& FilterWord(std::size_t side, std::size_t number) const noexcept {
    return filters_[side * words_max_ + number];
  }

  // Covering() as this head says.
  std::uint64_t CoveringBy(Head head, const Item& item) const noexcept;
  Fingerprint FingerprintOf(std::string_view prefix) const noexcept;
  // The last eight bytes of the prefix, or all.
  static std::uint64_t EndOf(std::string_view prefix) noexcept;
  // The entry of a prefix, or the empty one where it belongs.
  static Entry& EntryFor(const Side& side, const Fingerprint& fingerprint) noexcept;

  // The cutoff of a prefix; 0: it was not dropped.
  static std::uint64_t CutoffIn(const Side& side, const Fingerprint& fingerprint) noexcept;

  // Empties a side and gives it room for `count` prefixes.
  void Clear(std::size_t number, std::size_t count) noexcept;
  // True if the prefix is there or can be added. REQUIRES: none of its bytes is missing in `head`.
  static bool HasRoomIn(const Side& side, const Fingerprint& fingerprint) noexcept;
  // Adds to the side that `head` names.
  void AddTo(Head head, std::string_view prefix, std::uint64_t cutoff) noexcept;

  const std::uint64_t seed_;
  // Of each side: entries, and words of its filter.
  const std::uint32_t capacity_;
  const std::size_t words_max_;
  const ZeroedArray<Word> filters_;
  std::array<Side, 2> sides_;
  Word head_;
};

// Every chunk has eight bytes behind its header, so that they can be read of a shorter key too.
inline bool DropTable::MayCover(const Item& item) const noexcept {
  for (;;) {
    const Head seen = head();
    const bool may_cover =
        item.key_bytes >= seen.shortest() &&
        FilterWord(seen.side(), seen.WordFor(item.key().data())).load(std::memory_order_acquire) !=
            0;
    if (head().bits() == seen.bits()) [[likely]]
      return may_cover;
  }
}

}  // namespace larder::slab
