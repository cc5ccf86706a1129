#include "slab/engine/drop_table.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>

#include "slab/item/hash.h"

namespace larder::slab {
namespace {

// The fewest entries of a side.
constexpr std::size_t kEntriesMin = 64;
// Words of the filter for each entry, and the most words: a larger filter would not stay in the
// processor's cache.
constexpr std::size_t kWordsPerEntry = 4;
constexpr std::size_t kWordsMax = std::size_t{1} << 17;
// Bytes of a key that the filter knows.
constexpr std::size_t kWindowBytes = 8;
// What is larger is given back to the system when it is cleared.
constexpr std::size_t kGiveBackBytes = 1 << 16;

// The words of the filter for so many entries.
constexpr std::size_t WordsFor(std::size_t entries) {
  return std::min(entries * kWordsPerEntry, kWordsMax);
}

// True if a side with so many entries may have so many prefixes: three in four at most.
constexpr bool IsLoadFine(std::size_t prefixes, std::size_t entries) {
  return 4 * prefixes <= 3 * entries;
}

// Makes memory zero that begins with a page. Threads may read it meanwhile.
void Zero(Atomic<std::uint64_t>* words, std::size_t bytes) {
  if (bytes > kGiveBackBytes) {
    (void)madvise(words, bytes, MADV_DONTNEED);
    return;
  }
  for (std::size_t i = 0; i < bytes / sizeof *words; ++i) {
    words[i].store(0, std::memory_order_release);
  }
}

}  // namespace

// --- Reading -------------------------------------------------------------------------------------

std::uint64_t DropTable::Covering(const Item& item) const noexcept {
  for (;;) {
    const Head seen = head();
    const std::uint64_t cutoff = CoveringBy(seen, item);
    if (head().bits() == seen.bits()) [[likely]]
      return cutoff;
  }
}

std::uint64_t DropTable::CoveringBy(Head head, const Item& item) const noexcept {
  const std::string_view key = item.key();
  if (key.size() < head.shortest()) return 0;
  const Side& side = sides_[head.side()];
  std::uint64_t lengths =
      FilterWord(head.side(), head.WordFor(key.data())).load(std::memory_order_acquire);
  for (; lengths != 0; lengths &= lengths - 1) {
    const auto remainder = static_cast<std::size_t>(std::countr_zero(lengths));
    for (std::size_t bytes = remainder; bytes <= key.size(); bytes += 64) {
      if ((side.lengths[bytes / 64].load(std::memory_order_acquire) >> bytes % 64 & 1) == 0)
        continue;
      const std::string_view prefix = key.substr(0, bytes);
      const Word& word = FilterWord(head.side(), head.WordForEnd(EndOf(prefix), bytes));
      if ((word.load(std::memory_order_acquire) >> bytes % 64 & 1) == 0) continue;
      const std::uint64_t cutoff = CutoffIn(side, FingerprintOf(prefix));
      if (cutoff != 0 && item.is_numbered_below(cutoff)) return cutoff;
    }
  }
  return 0;
}

// An entry that was empty when it was found may have been filled with another prefix since, so what
// it has is looked at again. An entry that has a prefix keeps it.
std::uint64_t DropTable::CutoffIn(const Side& side, const Fingerprint& fingerprint) noexcept {
  const Entry& entry = EntryFor(side, fingerprint);
  const bool is_it = entry.hash.load(std::memory_order_acquire) == fingerprint.hash &&
                     entry.end.load(std::memory_order_acquire) == fingerprint.end;
  return is_it ? entry.cutoff.load(std::memory_order_acquire) : 0;
}

DropTable::Fingerprint DropTable::FingerprintOf(std::string_view prefix) const noexcept {
  const std::uint64_t hash = HashKey(prefix, seed_ + prefix.size());
  return {.hash = hash != 0 ? hash : 1, .end = EndOf(prefix)};
}

std::uint64_t DropTable::EndOf(std::string_view prefix) noexcept {
  std::uint64_t end = 0;
  if (prefix.size() >= kWindowBytes) {
    std::memcpy(&end, prefix.data() + prefix.size() - kWindowBytes, kWindowBytes);
  } else {
    std::memcpy(&end, prefix.data(), prefix.size());
  }
  return end;
}

// A fourth of the entries are empty. While another thread clears the side the search may meet
// anything, but it ends after one round.
DropTable::Entry& DropTable::EntryFor(const Side& side, const Fingerprint& fingerprint) noexcept {
  const std::uint64_t mask = side.entry_mask.load(std::memory_order_acquire);
  std::uint64_t at = fingerprint.hash & mask;
  for (std::uint64_t looks = 0; looks < mask; ++looks, at = (at + 1) & mask) {
    Entry& entry = side.entries[at];
    const std::uint64_t hash = entry.hash.load(std::memory_order_acquire);
    const bool is_it =
        hash == fingerprint.hash && entry.end.load(std::memory_order_acquire) == fingerprint.end;
    if (hash == 0 || is_it) return entry;
  }
  return side.entries[at];
}

// --- Writing -------------------------------------------------------------------------------------

DropTable::DropTable(std::uint32_t prefixes_max, std::uint64_t seed)
    : seed_(seed),
      capacity_(static_cast<std::uint32_t>(
          std::max(kEntriesMin, std::bit_ceil(2 * std::size_t{prefixes_max})))),
      words_max_(WordsFor(capacity_)),
      filters_(2 * words_max_, HugePages::kNo),
      sides_{Side(capacity_), Side(capacity_)},
      head_(Head::Of(0, 0, words_max_).bits()) {
  if (!ok()) return;
  // A huge page would be much more than a few prefixes need.
  (void)madvise(filters_.data(), filters_.bytes(), MADV_NOHUGEPAGE);
  for (const Side& side : sides_) {
    (void)madvise(side.entries.data(), side.entries.bytes(), MADV_NOHUGEPAGE);
  }
}

DropTable::Head DropTable::Head::Of(std::uint32_t generation, std::size_t shortest,
                                    std::size_t words) noexcept {
  const std::size_t window = std::min(shortest, kWindowBytes);
  const std::size_t filter_shift = 64 - static_cast<std::size_t>(std::bit_width(words) - 1);
  // Without a prefix the filter is empty, so that any bytes will do.
  const std::size_t window_shift = 8 * (kWindowBytes - std::max<std::size_t>(window, 1));
  return Head(std::uint64_t{generation} << 32 | filter_shift << 24 | window_shift << 16 |
              (shortest - window) << 8 | shortest);
}

bool DropTable::HasRoomFor(std::string_view prefix) const noexcept {
  const Head now = head();
  return now.shortest() != 0 && prefix.size() >= now.shortest() &&
         HasRoomIn(sides_[now.side()], FingerprintOf(prefix));
}

bool DropTable::HasRoomIn(const Side& side, const Fingerprint& fingerprint) noexcept {
  return IsLoadFine(side.count + 1, side.entry_mask.load(std::memory_order_relaxed) + 1) ||
         EntryFor(side, fingerprint).hash.load(std::memory_order_relaxed) != 0;
}

void DropTable::Add(std::string_view prefix, std::uint64_t cutoff) noexcept {
  LARDER_ASSERT(!prefix.empty() && prefix.size() <= kKeyBytesMax && cutoff != 0);
  LARDER_ASSERT(HasRoomFor(prefix));
  AddTo(head(), prefix, cutoff);
}

// The entry comes before the filter, which makes readers look for it.
void DropTable::AddTo(Head head, std::string_view prefix, std::uint64_t cutoff) noexcept {
  LARDER_ASSERT(prefix.size() >= head.shortest());
  Side& side = sides_[head.side()];
  const Fingerprint fingerprint = FingerprintOf(prefix);
  LARDER_ASSERT(HasRoomIn(side, fingerprint));
  Entry& entry = EntryFor(side, fingerprint);
  if (entry.hash.load(std::memory_order_relaxed) == 0) {
    ++side.count;
    entry.cutoff.store(cutoff, std::memory_order_release);
    entry.end.store(fingerprint.end, std::memory_order_release);
    entry.hash.store(fingerprint.hash, std::memory_order_release);
  } else if (entry.cutoff.load(std::memory_order_relaxed) < cutoff) {
    entry.cutoff.store(cutoff, std::memory_order_release);
  }
  const std::uint64_t bit = std::uint64_t{1} << prefix.size() % 64;
  side.lengths[prefix.size() / 64].fetch_or(bit, std::memory_order_release);
  // The prefix may be shorter than the eight bytes that are read.
  std::array<char, kKeyBytesMax + kWindowBytes> padded{};
  std::memcpy(padded.data(), prefix.data(), prefix.size());
  FilterWord(head.side(), head.WordForEnd(fingerprint.end, prefix.size()))
      .fetch_or(bit, std::memory_order_release);
  FilterWord(head.side(), head.WordFor(padded.data())).fetch_or(bit, std::memory_order_release);
}

void DropTable::Build(std::span<const DroppedPrefix> prefixes) noexcept {
  std::size_t shortest = prefixes.empty() ? 0 : kKeyBytesMax;
  for (const DroppedPrefix& each : prefixes) shortest = std::min(shortest, each.prefix.size());
  const std::uint32_t generation = head().generation() + 1;
  Clear(generation % 2, prefixes.size());
  const std::size_t entries = sides_[generation % 2].entry_mask.load(std::memory_order_relaxed) + 1;
  const Head next = Head::Of(generation, shortest, WordsFor(entries));
  for (const DroppedPrefix& each : prefixes) AddTo(next, each.prefix, each.cutoff);
  head_.store(next.bits(), std::memory_order_release);
  // Nothing is remembered, so the other side needs no memory either.
  if (prefixes.empty()) Clear(1 - generation % 2, 0);
}

void DropTable::Clear(std::size_t number, std::size_t count) noexcept {
  LARDER_ASSERT(IsLoadFine(count, capacity_));
  Side& side = sides_[number];
  const std::size_t old_entries = side.entry_mask.load(std::memory_order_relaxed) + 1;
  Zero(&FilterWord(number, 0), WordsFor(old_entries) * sizeof(Word));
  Zero(&side.entries[0].hash, old_entries * sizeof(Entry));
  for (Word& word : side.lengths) word.store(0, std::memory_order_release);
  side.count = 0;
  const std::size_t entries =
      count == 0 ? 1 : std::clamp<std::size_t>(std::bit_ceil(3 * count), kEntriesMin, capacity_);
  side.entry_mask.store(entries - 1, std::memory_order_release);
}

std::uint64_t DropTable::resident_bytes() const noexcept {
  std::uint64_t bytes = 0;
  for (const Side& side : sides_) {
    const std::uint64_t entries = side.entry_mask.load(std::memory_order_relaxed) + 1;
    if (entries > 1) bytes += entries * sizeof(Entry) + WordsFor(entries) * sizeof(Word);
  }
  return bytes;
}

}  // namespace larder::slab
