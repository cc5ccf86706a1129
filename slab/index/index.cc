#include "slab/index/index.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "slab/check.h"
#include "slab/sync/spin.h"

namespace larder::slab {
namespace {

// Tries to lock a bucket before the thread lets others run.
constexpr int kSpinsBeforeYield = 128;
// Buckets are announced to GrowingMemory in steps of this number.
constexpr std::uint64_t kUsableStep = 1024;
// How much of the table is touched ahead of need. Half a megabyte is the buckets of some 8 MB of
// small items: the index grows far more slowly than the items.
constexpr std::uint64_t kBucketsAheadBytes = std::uint64_t{512} << 10;
constexpr std::uint64_t kOverflowAheadBytes = std::uint64_t{512} << 10;

}  // namespace

void IndexIsBroken(const char* what) {
  std::fprintf(stderr, "larder: index is broken: %s\n", what);
  std::abort();
}

Result<std::unique_ptr<Index>, std::string> Index::Create(std::uint64_t items_max) {
  // Bucket numbers have 32 bits. Once there are buckets_max buckets, no more are split and chains
  // grow instead.
  const std::uint64_t buckets_max = std::clamp<std::uint64_t>(
      items_max / 4, std::uint64_t{1} << kIndexLevelMin, std::uint64_t{1} << 31);
  // The chains need fewer overflow buckets than this, even if the table has only half of its
  // buckets.
  const std::uint64_t overflow_max =
      std::max<std::uint64_t>(items_max / kBucketSlots, 4096) + kStocks * Stock::kMax + 1;
  // A bucket of zero bytes is empty and unlocked.
  ZeroedArray<Bucket> buckets(buckets_max, HugePages::kAdvise);
  ZeroedArray<Bucket> overflow(overflow_max, HugePages::kAdvise);
  if (!buckets.ok() || !overflow.ok()) {
    return Failure{std::string("cannot reserve memory for the index: ") + std::strerror(errno)};
  }
  return std::unique_ptr<Index>(
      new Index(std::move(buckets), buckets_max, std::move(overflow), overflow_max));
}

Index::Index(ZeroedArray<Bucket> buckets, std::uint64_t buckets_max, ZeroedArray<Bucket> overflow,
             std::uint64_t overflow_max)
    : buckets_(std::move(buckets)),
      buckets_max_(buckets_max),
      overflow_(std::move(overflow)),
      overflow_max_(overflow_max),
      state_(StateOf(1U << kIndexLevelMin)),
      usable_buckets_(1U << kIndexLevelMin),
      growing_buckets_(buckets_.data(), buckets_.bytes(), kBucketsAheadBytes),
      growing_overflow_(overflow_.data(), overflow_.bytes(), kOverflowAheadBytes) {
  growing_buckets_.Use(usable_buckets_ * sizeof(Bucket));
}

void Index::Bucket::Write(unsigned slot, std::uint32_t tag24, ItemRef ref) noexcept {
  LARDER_ASSERT(slot < kBucketSlots);
  LARDER_ASSERT(tag24 <= 0xffffff);
  // Replaces the bits of one slot in a word.
  const auto put = [](std::atomic<std::uint64_t>& word, unsigned shift, std::uint64_t mask,
                      std::uint64_t value) {
    const std::uint64_t old = word.load(std::memory_order_relaxed);
    word.store((old & ~(mask << shift)) | value << shift, std::memory_order_relaxed);
  };
  put(tags[slot / 4], slot % 4 * 16, 0xffff, tag24 >> 8);
  put(low_tags, slot * 8, 0xff, tag24 & 0xff);
  refs[slot].store(ref, std::memory_order_relaxed);
  occupied.store(static_cast<std::uint8_t>(occupied.load(std::memory_order_relaxed) | 1U << slot),
                 std::memory_order_relaxed);
}

std::uint32_t Index::Bucket::Tag24(unsigned slot) const noexcept {
  LARDER_ASSERT(slot < kBucketSlots);
  const std::uint64_t high = tags[slot / 4].load(std::memory_order_relaxed) >> (slot % 4 * 16);
  const std::uint64_t low = low_tags.load(std::memory_order_relaxed) >> (slot * 8);
  return static_cast<std::uint32_t>((high & 0xffff) << 8 | (low & 0xff));
}

void Index::Bucket::Clear(unsigned slot) noexcept {
  LARDER_ASSERT((occupied.load(std::memory_order_relaxed) >> slot & 1) != 0);
  occupied.store(
      static_cast<std::uint8_t>(occupied.load(std::memory_order_relaxed) & ~(1U << slot)),
      std::memory_order_relaxed);
}

// Waits for a bucket. Buckets are held for a short time, so the thread spins first.
void Index::Acquire(Bucket& bucket) noexcept {
  for (int spins = 0; !TryAcquire(bucket); ++spins) {
    if (spins < kSpinsBeforeYield) {
      PauseProcessor();
    } else {
      // The holder may not be running, if there are fewer cores than threads.
      YieldProcessor();
    }
  }
}

Index::Bucket& Index::LockSlowly(std::uint64_t hash) noexcept {
  for (;;) {
    const std::uint32_t number = NumberFor(hash, state_.load(std::memory_order_acquire));
    Acquire(buckets_[number]);
    // The bucket may have been split while this thread waited. A split holds the lock of the
    // bucket.
    if (NumberFor(hash, state_.load(std::memory_order_acquire)) == number) return buckets_[number];
    Release(buckets_[number]);
  }
}

Index::Guard Index::TryLock(std::uint64_t hash, const Guard* held) noexcept {
  const std::uint64_t state = state_.load(std::memory_order_acquire);
  Bucket& bucket = buckets_[NumberFor(hash, state)];
  if (held != nullptr && held->bucket_ == &bucket) {
    // A bucket that is locked cannot be split, so it is still the bucket of this hash.
    return Guard(this, &bucket, Guard::LockKind::kShared);
  }
  if (!TryAcquire(bucket)) return {};
  // The table has grown in between, and the hash may belong to another bucket.
  if (NumberFor(hash, state_.load(std::memory_order_acquire)) != NumberFor(hash, state)) {
    Release(bucket);
    return {};
  }
  return Guard(this, &bucket, Guard::LockKind::kOwn);
}

void Index::Insert(Bucket& head, std::uint32_t tag24, ItemRef ref, std::uint32_t lane) noexcept {
  Bucket* bucket = &head;
  // The first free slot of the chain; if there is none, a new overflow bucket at its end.
  for (;;) {
    const unsigned occupied = bucket->occupied.load(std::memory_order_relaxed);
    if (occupied != 0xff) {
      return bucket->Write(static_cast<unsigned>(std::countr_one(occupied)), tag24, ref);
    }
    Bucket* next = Next(*bucket);
    if (next == nullptr) break;
    bucket = next;
  }
  const std::uint32_t number = TakeOverflow(lane);
  LARDER_ASSERT(overflow_[number].occupied.load(std::memory_order_relaxed) == 0);
  overflow_[number].Write(0, tag24, ref);
  bucket->overflow.store(number, std::memory_order_relaxed);
}

// Moves references from the end of a chain into the free slots before it, and gives back the
// overflow buckets that become empty.
void Index::Compact(Bucket& head, std::uint32_t lane) noexcept {
  for (Bucket* hole = &head; hole != nullptr;) {
    Bucket* before = nullptr;
    Bucket* last = hole;
    for (Bucket* next = Next(*last); next != nullptr; next = Next(*last)) {
      before = last;
      last = next;
    }
    // The free slot is in the last bucket, where it may be.
    if (before == nullptr) return;
    const unsigned filled = last->occupied.load(std::memory_order_relaxed);
    // The last bucket is empty: cut it off.
    if (filled == 0) {
      const std::uint32_t number = before->overflow.load(std::memory_order_relaxed);
      before->overflow.store(0, std::memory_order_relaxed);
      ReturnOverflow(number, lane);
      continue;
    }
    const unsigned occupied = hole->occupied.load(std::memory_order_relaxed);
    if (occupied == 0xff) {
      hole = Next(*hole);
      continue;
    }
    // Move one reference from the last bucket into the free slot.
    const auto from = static_cast<unsigned>(std::countr_zero(filled));
    hole->Write(static_cast<unsigned>(std::countr_one(occupied)), last->Tag24(from),
                last->refs[from].load(std::memory_order_relaxed));
    last->Clear(from);
  }
}

// An empty overflow bucket, from the stock of this lane.
std::uint32_t Index::TakeOverflow(std::uint32_t lane) noexcept {
  Stock& stock = StockOf(lane);
  const MutexLock lock(stock.mutex);
  if (stock.count == 0) FillHalf(stock);
  return stock.numbers[--stock.count];
}

// Gives an empty overflow bucket to the stock of this lane.
void Index::ReturnOverflow(std::uint32_t number, std::uint32_t lane) noexcept {
  LARDER_ASSERT(number != 0 && number < overflow_max_);
  LARDER_ASSERT(overflow_[number].occupied.load(std::memory_order_relaxed) == 0);
  Stock& stock = StockOf(lane);
  const MutexLock lock(stock.mutex);
  if (stock.count == Stock::kMax) EmptyHalf(stock);
  stock.numbers[stock.count++] = number;
}

// Fills half of a stock from the common list, or from what was never used.
void Index::FillHalf(Stock& stock) noexcept {
  LARDER_ASSERT(stock.count == 0);
  const MutexLock lock(overflow_mutex_);
  overflow_given_ += Stock::kMax / 2;
  while (stock.count < Stock::kMax / 2) {
    std::uint32_t number = overflow_free_;
    if (number != 0) {
      overflow_free_ = overflow_[number].overflow.load(std::memory_order_relaxed);
      overflow_[number].overflow.store(0, std::memory_order_relaxed);
    } else {
      number = overflow_touched_++;
    }
    stock.numbers[stock.count++] = number;
  }
  LARDER_CHECK(overflow_touched_ <= overflow_max_);
  if (overflow_touched_ > usable_overflow_) {
    usable_overflow_ += kUsableStep;
    growing_overflow_.Use(usable_overflow_ * sizeof(Bucket));
  }
}

// Gives half of a stock to the common list.
void Index::EmptyHalf(Stock& stock) noexcept {
  LARDER_ASSERT(stock.count == Stock::kMax);
  const MutexLock lock(overflow_mutex_);
  overflow_given_ -= Stock::kMax / 2;
  while (stock.count > Stock::kMax / 2) {
    const std::uint32_t number = stock.numbers[--stock.count];
    overflow_[number].overflow.store(overflow_free_, std::memory_order_relaxed);
    overflow_free_ = number;
  }
}

void Index::Grow(std::int64_t items_delta, std::uint32_t lane) noexcept {
  const std::int64_t items = items_.fetch_add(items_delta, std::memory_order_relaxed) + items_delta;
  // As many splits as items were added, so that the cost is paid by the threads that add.
  for (std::int64_t splits = 0; splits < items_delta; splits += kSplitRun) {
    if (static_cast<double>(items) <= kItemsPerBucketMax * bucket_count()) return;
    // If another thread is splitting, this one does not wait for it.
    if (bucket_count() >= buckets_max_ || !split_mutex_.TryLock()) return;
    SplitRun(lane);
    split_mutex_.Unlock();
  }
}

// The buckets of a run stay locked until all of them are split, because a thread that found one
// unlocked would look for its items where they no longer are. This thread waits for buckets while
// it holds others; no thread that it waits for does that.
void Index::SplitRun(std::uint32_t lane) noexcept {
  const std::uint32_t count = bucket_count();
  if (count >= buckets_max_) return;
  const unsigned level = static_cast<unsigned>(std::bit_width(count)) - 1;
  // Up to the end of the level.
  const auto splits = static_cast<std::uint32_t>(std::min<std::uint64_t>(
      {kSplitRun, buckets_max_ - count, (std::uint64_t{2} << level) - count}));
  // Announced in steps, so that the warmer is not asked for each bucket.
  if (count + splits > usable_buckets_) {
    usable_buckets_ += kUsableStep;
    growing_buckets_.Use(usable_buckets_ * sizeof(Bucket));
  }
  Bucket* const first = &buckets_[count - (1U << level)];
  // They are in no cache: all are fetched at once.
  for (std::uint32_t i = 0; i < splits; ++i) {
    __builtin_prefetch(&first[i], 1);
    __builtin_prefetch(&buckets_[count + i], 1);
  }
  for (std::uint32_t i = 0; i < splits; ++i) {
    if (const Bucket* const next = Next(first[i]); next != nullptr) __builtin_prefetch(next, 1);
  }
  for (std::uint32_t i = 0; i < splits; ++i) {
    Acquire(first[i]);
    // No thread looks into the new bucket before state_ is stored.
    Split(first[i], buckets_[count + i], level, lane);
  }
  // Publishes the new buckets. Released before the old ones are unlocked, so that a thread that
  // locks an old one sees the new mapping.
  state_.store(StateOf(count + splits), std::memory_order_release);
  for (std::uint32_t i = 0; i < splits; ++i) Release(first[i]);
}

// Bit `level` of the hash decides where a reference belongs. A slot has the bits of the hash from
// kIndexLevelMin up.
void Index::Split(Bucket& from, Bucket& to, unsigned level, std::uint32_t lane) noexcept {
  const unsigned bit_in_tag24 = level - kIndexLevelMin;
  for (Bucket* bucket = &from; bucket != nullptr; bucket = Next(*bucket)) {
    unsigned occupied = bucket->occupied.load(std::memory_order_relaxed);
    for (; occupied != 0; occupied &= occupied - 1) {
      const auto slot = static_cast<unsigned>(std::countr_zero(occupied));
      const std::uint32_t tag24 = bucket->Tag24(slot);
      if ((tag24 >> bit_in_tag24 & 1) == 0) continue;
      Insert(to, tag24, bucket->refs[slot].load(std::memory_order_relaxed), lane);
      bucket->Clear(slot);
    }
  }
  Compact(from, lane);
}

void Index::PrefaultFor(std::uint64_t items) noexcept {
  const auto buckets = static_cast<std::uint64_t>(static_cast<double>(items) / kItemsPerBucketMax);
  buckets_.PrefaultFirst(std::min(buckets, buckets_max_));
  // At the worst moment between two doublings, a third of the buckets have an overflow bucket.
  overflow_.PrefaultFirst(std::min(buckets / 3, overflow_max_));
}

std::uint64_t Index::used_bytes() const noexcept {
  // Buckets in stocks are not in use.
  std::uint64_t in_stock = 0;
  for (Stock& stock : stocks_) {
    const MutexLock lock(stock.mutex);
    in_stock += stock.count;
  }
  const MutexLock lock(overflow_mutex_);
  return (bucket_count() + overflow_given_ - in_stock) * sizeof(Bucket);
}

}  // namespace larder::slab
