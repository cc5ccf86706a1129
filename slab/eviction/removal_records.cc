#include "slab/eviction/removal_records.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>

#include "slab/check.h"

namespace larder::slab {
namespace {

// The parts of an entry from the low end: end, age, idle, class, reason, fingerprint.
constexpr unsigned kTimeBits = 20;
constexpr unsigned kSpanBits = 7;
constexpr unsigned kAgeShift = kTimeBits;
constexpr unsigned kIdleShift = kAgeShift + kSpanBits;
constexpr unsigned kClassShift = kIdleShift + kSpanBits;
constexpr unsigned kClassBits = 7;
constexpr unsigned kReasonShift = kClassShift + kClassBits;
constexpr unsigned kReasonBits = 3;
constexpr unsigned kFingerprintShift = kReasonShift + kReasonBits;
constexpr unsigned kFingerprintBits = 20;
static_assert(kFingerprintShift + kFingerprintBits == 64);
static_assert(kClassesMax < 1U << kClassBits);
static_assert(kRemovalReasons <= 1U << kReasonBits);
static_assert(RemovalRecords::kFalseOdds == 8.0 / (1U << kFingerprintBits));

// Times are stored modulo this number plus one, in seconds: 12 days.
constexpr std::uint32_t kTimeMask = (1U << kTimeBits) - 1;
// Threads read the clock at different moments: so far it may differ between them, in seconds.
constexpr std::uint32_t kLagMaxS = 60;
// ForgetOld looks through the whole table in this many seconds.
constexpr std::uint32_t kSweepS = 100'000;
static_assert(RemovalRecords::kRememberedS + kSweepS + kLagMaxS < kTimeMask);

// The code of a time span in seconds, on a scale of four steps from a power of two to the next.
constexpr std::uint32_t CodeOf(std::uint32_t span_s) {
  if (span_s < 8) return span_s;
  const auto power = static_cast<unsigned>(std::bit_width(span_s)) - 1;
  return 4 * (power - 1) + (span_s >> (power - 2) & 3);
}
// The span in the middle of the step with this code.
constexpr std::uint32_t SpanOf(std::uint32_t code) {
  if (code < 8) return code;
  const std::uint32_t power = code / 4 + 1;
  return (4 + code % 4) << (power - 2) | 1U << (power - 3);
}
static_assert(CodeOf(0xffffffff) < 1U << kSpanBits);
static_assert(SpanOf(CodeOf(9)) == 9 && SpanOf(CodeOf(1000)) == 960);

// The fingerprint in its place in an entry. It is never 0, so that no entry is 0, which means
// empty. It consists of the low bits of the hash; the high ones select the set.
std::uint64_t FingerprintOf(std::uint64_t hash) {
  const std::uint64_t fingerprint = hash << kFingerprintShift;
  return fingerprint != 0 ? fingerprint : std::uint64_t{1} << kFingerprintShift;
}

// True if the entry is one of a key with this fingerprint.
bool FitsFingerprint(std::uint64_t entry, std::uint64_t fingerprint) {
  return (entry ^ fingerprint) < std::uint64_t{1} << kFingerprintShift;
}

// Seconds since the removal that the entry records; 0 if the clock of this thread is a little
// behind.
std::uint32_t AgoOf(std::uint64_t entry, std::uint32_t now_s) {
  const std::uint32_t ago_s = (now_s - static_cast<std::uint32_t>(entry)) & kTimeMask;
  return ago_s > kTimeMask - kLagMaxS ? 0 : ago_s;
}

// A part of an entry as a number.
std::uint64_t Part(std::uint64_t entry, unsigned shift, unsigned bits) {
  return entry >> shift & ((std::uint64_t{1} << bits) - 1);
}

}  // namespace

RemovalRecords::RemovalRecords(std::uint64_t bytes, std::uint64_t bytes_max)
    : set_count_max_(std::clamp<std::uint64_t>(bytes_max / sizeof(Set), 1, 0xffffffff)),
      sets_(set_count_max_, HugePages::kNo),
      touched_(set_count_max_ * sizeof(Set) / kBlockBytes + 1, HugePages::kNo),
      set_count_(std::clamp<std::uint64_t>(bytes / sizeof(Set), 1, set_count_max_)) {
  // Where the system gives huge pages to every mapping, a small table would exceed its bound with
  // its first huge page.
  if (sets_.ok()) (void)madvise(sets_.data(), sets_.bytes(), MADV_NOHUGEPAGE);
}

void RemovalRecords::Add(std::uint64_t hash, const RemovalRecord& record,
                         std::uint32_t now_s) noexcept {
  LARDER_ASSERT(record.class_id <= kClassesMax);
  const std::uint64_t fingerprint = FingerprintOf(hash);
  const std::uint64_t number = NumberFor(hash);
  LARDER_ASSERT(number < set_count_max_);
  Set& set = sets_[number];
  const auto reason = static_cast<std::uint64_t>(record.reason);
  // Older removals are not distinguished: they count as this old, so that the end does not wrap.
  const std::uint32_t ago_s = std::min(record.ago_s, kRememberedS);
  const std::uint64_t entry =
      fingerprint | reason << kReasonShift | std::uint64_t{record.class_id} << kClassShift |
      std::uint64_t{CodeOf(record.idle_s)} << kIdleShift |
      std::uint64_t{CodeOf(record.age_s)} << kAgeShift | ((now_s - ago_s) & kTimeMask);
  // Only the first removal in a block writes the flag, so that its cache line stays shared.
  std::atomic<bool>& touched = TouchedOf(number);
  if (!touched.load(std::memory_order_relaxed)) touched.store(true, std::memory_order_relaxed);

  // If many entries are of the same second, each of them is as likely to be replaced, by the bits
  // `any`. An empty entry counts as the oldest. An entry of a thread whose clock is ahead counts as
  // young.
  const std::uint32_t any = hash >> kFingerprintBits & (kWays - 1);
  const std::uint32_t young_s = now_s + kLagMaxS;
  std::uint32_t oldest = 0;
#pragma GCC unroll 8
  for (std::uint32_t way = 0; way < kWays; ++way) {
    const std::uint64_t seen = set.entries[way].load(std::memory_order_relaxed);
    // A key has at most one entry: the new record replaces the key's old one.
    if (FitsFingerprint(seen, fingerprint)) {
      return set.entries[way].store(entry, std::memory_order_relaxed);
    }
    const std::uint32_t age_s =
        seen == 0 ? kTimeMask : (young_s - static_cast<std::uint32_t>(seen)) & kTimeMask;
    oldest = std::max(oldest, age_s * kWays + (way ^ any));
  }
  set.entries[oldest % kWays ^ any].store(entry, std::memory_order_relaxed);
}

std::optional<RemovalRecord> RemovalRecords::Find(std::uint64_t hash,
                                                  std::uint32_t now_s) const noexcept {
  const std::uint64_t number = NumberFor(hash);
  // Reading a block that was never written to would make the kernel back it with memory.
  if (!TouchedOf(number).load(std::memory_order_relaxed)) return std::nullopt;
  const std::uint64_t fingerprint = FingerprintOf(hash);
  for (const std::atomic<std::uint64_t>& way : sets_[number].entries) {
    const std::uint64_t entry = way.load(std::memory_order_relaxed);
    if (!FitsFingerprint(entry, fingerprint)) continue;
    const std::uint32_t ago_s = AgoOf(entry, now_s);
    if (ago_s > kRememberedS) return std::nullopt;
    const auto span = [&](unsigned shift) {
      return SpanOf(static_cast<std::uint32_t>(Part(entry, shift, kSpanBits)));
    };
    return RemovalRecord{
        .reason = static_cast<RemovalReason>(Part(entry, kReasonShift, kReasonBits)),
        .class_id = static_cast<ClassId>(Part(entry, kClassShift, kClassBits)),
        .idle_s = span(kIdleShift),
        .age_s = span(kAgeShift),
        .ago_s = ago_s};
  }
  return std::nullopt;
}

void RemovalRecords::ForgetOld(std::uint32_t now_s) noexcept {
  const std::uint64_t count = set_count();
  // Every call looks at as many sets as are needed to see all of them in kSweepS seconds.
  for (std::uint64_t left = count / kSweepS + 1; left > 0; --left) {
    forget_cursor_ = forget_cursor_ + 1 < count ? forget_cursor_ + 1 : 0;
    if (!TouchedOf(forget_cursor_).load(std::memory_order_relaxed)) continue;
    for (std::atomic<std::uint64_t>& way : sets_[forget_cursor_].entries) {
      std::uint64_t entry = way.load(std::memory_order_relaxed);
      if (entry == 0 || AgoOf(entry, now_s) <= kRememberedS) continue;
      // Fails if another thread has put a new record there meanwhile.
      (void)way.compare_exchange_strong(entry, 0, std::memory_order_relaxed);
    }
  }
}

void RemovalRecords::Resize(std::uint64_t bytes) noexcept {
  const std::uint64_t count = std::clamp<std::uint64_t>(bytes / sizeof(Set), 1, set_count_max_);
  const std::uint64_t old_count = set_count_.exchange(count, std::memory_order_relaxed);
  if (old_count == count) return;
  // Gives the whole memory back, so that all entries are empty. Removals that happen meanwhile may
  // be lost.
  (void)madvise(sets_.data(), sets_.bytes(), MADV_DONTNEED);
  const std::uint64_t old_blocks = old_count * sizeof(Set) / kBlockBytes + 1;
  for (std::uint64_t block = 0; block < old_blocks; ++block) {
    touched_[block].store(false, std::memory_order_relaxed);
  }
}

std::uint64_t RemovalRecords::resident_bytes() const noexcept {
  const std::uint64_t blocks = bytes() / kBlockBytes + 1;
  std::uint64_t resident = 0;
  for (std::uint64_t block = 0; block < blocks; ++block) {
    resident += touched_[block].load(std::memory_order_relaxed) ? kBlockBytes : 0;
  }
  return resident;
}

}  // namespace larder::slab
