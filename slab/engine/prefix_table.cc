#include "slab/engine/prefix_table.h"

#include <algorithm>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "slab/check.h"

namespace larder::slab {
namespace {

// A constant without a pattern, which makes different factors of one seed: the golden ratio.
constexpr std::uint64_t kGolden = 0x9e37'79b9'7f4a'7c15;

// The factor is odd, so that every bit of a word counts.
constexpr std::uint64_t Factor(std::uint64_t seed) { return (seed * kGolden) | 1; }

#if defined(__SSE2__)
// For each place of a delimiter: the bytes up to it.
alignas(PrefixTable::kHeadBytes) constexpr auto kMasks = [] {
  std::array<std::array<std::uint8_t, PrefixTable::kHeadBytes>, PrefixTable::kHeadBytes> masks{};
  for (std::size_t at = 0; at < masks.size(); ++at) {
    for (std::size_t i = 0; i <= at; ++i) masks[at][i] = 0xff;
  }
  return masks;
}();
#endif

}  // namespace

PrefixTable::PrefixTable(char delimiter, std::uint64_t seed)
    : delimiter_(delimiter),
      low_factor_(Factor(seed + kGolden)),
      high_factor_(Factor(std::rotl(seed, 32) ^ kGolden)) {
  delimiters_.fill(delimiter);
  LARDER_ASSERT(delimiter != '\0');
  LARDER_ASSERT(std::endian::native == std::endian::little);
}

PrefixTable::Head PrefixTable::Padded(std::string_view text) noexcept {
  LARDER_ASSERT(text.size() <= kHeadBytes);
  std::array<char, kHeadBytes> bytes{};
  std::ranges::copy(text, bytes.begin());
  return std::bit_cast<Head>(bytes);
}

#if defined(__SSE2__)

[[gnu::always_inline]] inline PrefixTable::Head PrefixTable::HeadOf(
    std::string_view key) const noexcept {
  __m128i block;
  static_assert(sizeof block == sizeof(Head));
  if (key.size() >= kHeadBytes) [[likely]] {
    block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(key.data()));
  } else {
    const Head head = Padded(key);
    std::memcpy(&block, &head, sizeof block);
  }
  const __m128i wanted = _mm_load_si128(reinterpret_cast<const __m128i*>(delimiters_.data()));
  const auto found = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(block, wanted)));
  if (found == 0) return {};
  const auto& mask = kMasks[static_cast<std::size_t>(std::countr_zero(found))];
  const __m128i prefix =
      _mm_and_si128(block, _mm_load_si128(reinterpret_cast<const __m128i*>(mask.data())));
  return {
      .low = static_cast<std::uint64_t>(_mm_cvtsi128_si64(prefix)),
      .high = static_cast<std::uint64_t>(_mm_cvtsi128_si64(_mm_unpackhi_epi64(prefix, prefix)))};
}

#else

PrefixTable::Head PrefixTable::HeadOf(std::string_view key) const noexcept {
  const std::size_t at = key.substr(0, kHeadBytes).find(delimiter_);
  return at == key.npos ? Head{} : Padded(key.substr(0, at + 1));
}

#endif

[[gnu::always_inline]] inline PrefixRow PrefixTable::RowOf(const Head& head) const noexcept {
  // Ends, because half of the slots are empty.
  for (std::size_t at = SlotOf(head);; at = (at + 1) % kSlots) {
    const Slot& slot = slots_[at];
    // Read once: an empty slot may be filled with another prefix meanwhile.
    const PrefixRow row = slot.row.load(std::memory_order_acquire);
    if (row == kOthers || slot.head == head) return row;
  }
}

PrefixRow PrefixTable::Find(std::string_view key) const noexcept {
  const Head head = HeadOf(key);
  return head.is_prefix() ? RowOf(head) : kOthers;
}

PrefixRow PrefixTable::FindOrAdd(std::string_view key) noexcept {
  const Head head = HeadOf(key);
  if (!head.is_prefix()) return kOthers;
  const PrefixRow row = RowOf(head);
  if (row != kOthers) return row;
  // When the table is full nothing is added any more, so no lock is needed. But the last prefix may
  // have been added since the first look.
  if (row_count() == kPrefixRows) return RowOf(head);
  return Add(head);
}

PrefixRow PrefixTable::Add(Head head) noexcept {
  LARDER_ASSERT(head.is_prefix());
  const MutexLock lock(mutex_);
  // Another thread may have added it, or the last row.
  const PrefixRow present = RowOf(head);
  const std::size_t count = row_count();
  if (present != kOthers || count == kPrefixRows) return present;
  const auto row = static_cast<PrefixRow>(count);
  heads_[row] = head;
  // The empty slot where RowOf() has ended.
  std::size_t at = SlotOf(head);
  while (slots_[at].row.load(std::memory_order_relaxed) != kOthers) at = (at + 1) % kSlots;
  slots_[at].head = head;
  slots_[at].row.store(row, std::memory_order_release);
  // After the row: who sees that the table is full sees all rows.
  row_count_.store(count + 1, std::memory_order_release);
  return row;
}

std::string PrefixTable::NameOf(PrefixRow row) const {
  LARDER_ASSERT(row != kOthers && row < row_count());
  std::array<char, kHeadBytes> text{};
  std::memcpy(text.data(), &heads_[row], text.size());
  return {text.begin(), std::ranges::find(text, delimiter_)};
}

}  // namespace larder::slab
