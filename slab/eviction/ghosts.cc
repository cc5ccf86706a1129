#include "slab/eviction/ghosts.h"

#include <algorithm>

#include "slab/check.h"

namespace larder::slab {
namespace {

// A class's items are at most this many steps of a stamp; a stamp wraps after 4 times that.
constexpr std::uint64_t kStepsMax = 1 << 13;

}  // namespace

void Ghosts::Add(std::uint64_t hash, Segment segment, std::uint64_t items) {
  // The first eviction makes the table. If the number of items has changed too much since, the
  // table is replaced.
  if (!sets_ || !Fits(items)) Rebuild(items);
  if (!sets_) return;
  const bool is_main = segment == Segment::kMain;
  const std::uint64_t count = ++evicted_[is_main];
  LARDER_ASSERT(Fits(items));
  Set& set = SetOf(hash);
  NoteTouched(set);
  // The oldest entry of the set is replaced, empty entries first. The loop has no branch, so that
  // the compiler can use vector instructions.
  const Clocks clocks = Now();
  std::uint32_t oldest = 0;
  for (std::uint32_t way = 0; way < kWays; ++way) {
    const std::uint32_t entry = set.entries[way];
    const std::uint32_t age = entry == 0 ? 2 * kStampMask + 1 : AgeOf(entry, clocks);
    oldest = std::max(oldest, age * kWays + way);
  }
  set.entries[oldest % kWays] = Fingerprint(hash) << kFingerprintShift |
                                std::uint32_t{is_main} << kStampBits |
                                (static_cast<std::uint32_t>(count >> stamp_shift_) & kStampMask);
}

std::optional<Ghost> Ghosts::Take(std::uint64_t hash, std::uint64_t items) {
  // One that is too old is forgotten, too.
  std::uint32_t* const entry = FindEntry(hash, kOldFactor * items);
  if (entry == nullptr) return std::nullopt;
  const bool is_valid = AgeOf(*entry, Now()) <= items >> stamp_shift_;
  const Ghost ghost = GhostOf(*entry);
  *entry = 0;
  return is_valid ? std::optional(ghost) : std::nullopt;
}

std::optional<Ghost> Ghosts::FindOld(std::uint64_t hash, std::uint64_t items) const {
  const std::uint32_t* const entry = FindEntry(hash, kOldFactor * items);
  return entry != nullptr ? std::optional(GhostOf(*entry)) : std::nullopt;
}

std::uint32_t* Ghosts::FindEntry(std::uint64_t hash, std::uint64_t items) const {
  if (!sets_) return nullptr;
  const std::uint32_t fingerprint = Fingerprint(hash);
  for (std::uint32_t& entry : SetOf(hash).entries) {
    if (entry >> kFingerprintShift != fingerprint) [[likely]]
      continue;
    // Not too old to say something about the length of a segment.
    if (AgeOf(entry, Now()) <= items >> stamp_shift_) return &entry;
  }
  return nullptr;
}

Ghost Ghosts::GhostOf(std::uint32_t entry) const {
  const Segment segment = SegmentOf(entry);
  // AgeOf counts evictions from probation twice.
  const unsigned doubled = segment == Segment::kProbation ? 1 : 0;
  return {.segment = segment,
          .age = std::uint64_t{AgeOf(entry, Now())} >> doubled << stamp_shift_,
          .stamp = entry & kStampMask};
}

void Ghosts::Fit(std::uint64_t items) {
  // The next eviction makes a table of the right size.
  if (sets_ && items * 100 < items_planned_ * kShrinkPercent) Clear();
}

void Ghosts::Clear() {
  sets_.reset();
  is_touched_.clear();
  touched_blocks_ = 0;
  first_set_.store(nullptr, std::memory_order_relaxed);
  set_count_.store(0, std::memory_order_relaxed);
  items_planned_ = 0;
}

void Ghosts::Rebuild(std::uint64_t items) {
  // One entry for each item, in sets of kWays.
  Clear();
  const std::uint64_t count = std::max<std::uint64_t>(1, (items + kWays - 1) / kWays);
  sets_.emplace(count, HugePages::kNo);
  if (!sets_->ok()) return Clear();
  is_touched_.assign(count * sizeof(Set) / kBlockBytes + 1, false);
  set_count_.store(count, std::memory_order_relaxed);
  first_set_.store(sets_->data(), std::memory_order_relaxed);
  items_planned_ = items;
  stamp_shift_ = 0;
  // Stamps count evictions in steps so large that the age of an entry does not wrap.
  while (items >> stamp_shift_ > kStepsMax) ++stamp_shift_;
  LARDER_ASSERT(Fits(items));
}

// Counts the blocks of the table that were written to, and so were given memory by the kernel.
void Ghosts::NoteTouched(const Set& set) {
  const auto block = static_cast<std::size_t>(&set - sets_->data()) / (kBlockBytes / sizeof(Set));
  if (is_touched_[block]) return;
  is_touched_[block] = true;
  ++touched_blocks_;
}

}  // namespace larder::slab
