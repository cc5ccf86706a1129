#include "slab/cache_snapshot.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <utility>

#include "slab/check.h"
#include "slab/classes/size_ladder.h"
#include "slab/eviction/eviction_queue.h"
#include "slab/item/hash.h"
#include "slab/item/item.h"
#include "slab/memory/memory_file.h"

namespace larder::slab {
namespace {

constexpr std::size_t kKeyBytesMax = 250;     // memcached's limit: no item has a longer one.
constexpr std::uint32_t kClockBackMaxS = 60;  // Lost time that a restart puts up with.
constexpr std::chrono::seconds kTellEvery{1};
constexpr std::uint64_t kCasUnusedMax = std::uint64_t{1} << 62;

const std::string kIsDamaged = "its items are damaged: ";

// A copy: what lies in bytes is not aligned.
template <class Record>
Record ReadRecord(std::span<const std::byte>& bytes) {
  static_assert(std::is_trivially_copyable_v<Record>);
  LARDER_CHECK(bytes.size() >= sizeof(Record));
  Record record;
  std::memcpy(&record, bytes.data(), sizeof record);
  bytes = bytes.subspan(sizeof record);
  return record;
}

template <class Record>
void AppendRecord(std::vector<std::byte>& bytes, const Record& record) {
  static_assert(std::has_unique_object_representations_v<Record>);
  const auto view = std::as_bytes(std::span(&record, 1));
  bytes.insert(bytes.end(), view.begin(), view.end());
}

// What a restart trusts of a chunk: all but its value.
std::uint64_t DigestOf(ItemRef ref, const Item& item, std::uint32_t chunk_bytes) {
  std::size_t bytes = sizeof(Item);
  if (item.use() == ChunkUse::kQueued) bytes = item.head_bytes();
  return HashKey({reinterpret_cast<const char*>(&item), std::min<std::size_t>(bytes, chunk_bytes)},
                 ref);
}

// The clock of the process that reads the item begins at the wall clock's time.
void PutOnWallTime(Item& item, const Now& now) {
  if (now.wall_ahead_s == 0) return;
  (void)item.SetExpiry(item.expiry().OnWallTime(now));  // It had room for the one before.
  item.set_last_access(now.wall_s() - item.idle_s(now.now_s));
}

std::string SettingChanged(std::string_view option) {
  return std::string(option) + " is not what it was";
}

void ReadAhead(void* page) {
#ifdef MADV_POPULATE_READ
  (void)madvise(page, kPageBytes, MADV_POPULATE_READ);
#else
  (void)page;
#endif
}

}  // namespace

struct CacheSnapshot::Head {
  std::uint32_t page_bytes;
  std::uint32_t item_header_bytes;
  std::uint32_t unit_bytes;
  std::uint32_t item_bytes_max;
  std::uint32_t class_count;
  std::uint32_t page_count;  // Pages that were ever handed out: all others are untouched.
  std::uint32_t stopped_at_s;
  Expiry flush_due;
  std::uint64_t cas_unused;
  std::uint64_t flush_cas;
  std::uint64_t items;
  std::uint64_t digest;
};

struct CacheSnapshot::ClassRecord {
  std::uint32_t chunk_bytes;
  ItemRef probation_head;
  ItemRef probation_tail;
  ItemRef main_head;
  ItemRef main_tail;
  std::uint32_t tick;
  std::uint32_t young_ticks;
  std::uint32_t reserved;
  std::uint64_t probation_count;
  std::uint64_t main_count;
  std::uint64_t arrivals_to_tick;
  std::uint64_t probation_share_bits;

  static ClassRecord Of(std::uint32_t chunk_bytes, const EvictionQueue::State& queue) {
    return {.chunk_bytes = chunk_bytes,
            .probation_head = queue.probation.head,
            .probation_tail = queue.probation.tail,
            .main_head = queue.main.head,
            .main_tail = queue.main.tail,
            .tick = queue.clock.tick,
            .young_ticks = queue.clock.young_ticks,
            .reserved = 0,
            .probation_count = queue.probation.count,
            .main_count = queue.main.count,
            .arrivals_to_tick = queue.clock.arrivals_to_tick,
            .probation_share_bits = std::bit_cast<std::uint64_t>(queue.probation_share)};
  }
  EvictionQueue::State queue() const {
    return {
        .probation = {.head = probation_head, .tail = probation_tail, .count = probation_count},
        .main = {.head = main_head, .tail = main_tail, .count = main_count},
        .probation_share = std::bit_cast<double>(probation_share_bits),
        .clock = {.tick = tick, .young_ticks = young_ticks, .arrivals_to_tick = arrivals_to_tick}};
  }
};

struct CacheSnapshot::PageRecord {
  std::uint32_t class_id;  // 0: in no class.
  std::uint32_t carved;
  std::uint32_t used;
};

std::size_t CacheSnapshot::BytesMax(PageIndex capacity_pages) {
  return sizeof(Head) + kClassesMax * sizeof(ClassRecord) + capacity_pages * sizeof(PageRecord);
}

// --- Saving --------------------------------------------------------------------------------------

Result<std::vector<std::byte>, std::string> CacheSnapshot::Take(Cache& cache,
                                                                const SavedMoment& moment) {
  const Arena& arena = *cache.arena_;
  const Now now{.now_s = moment.now_s, .wall_ahead_s = moment.wall_ahead_s};
  Head head = {.page_bytes = kPageBytes,
               .item_header_bytes = sizeof(Item),
               .unit_bytes = static_cast<std::uint32_t>(arena.unit_bytes()),
               .item_bytes_max = cache.item_bytes_max_,
               .class_count = static_cast<std::uint32_t>(cache.ladder_.class_count()),
               .page_count = arena.touched_pages(),
               .stopped_at_s = now.wall_s(),
               .flush_due = moment.flush_due.OnWallTime(now),
               .cas_unused = cache.cas_unused_.load(std::memory_order_relaxed),
               .flush_cas = cache.flush_cas_.load(std::memory_order_relaxed),
               .items = 0,
               .digest = 0};
  std::vector<std::byte> classes;
  for (std::size_t id = 1; id < cache.classes_.size(); ++id) {
    SlabClass& c = cache.ClassById(id);
    const MutexLock lock(c.mutex());
    cache.Settle(c);
    AppendRecord(classes, ClassRecord::Of(c.chunk_bytes(), c.queue().state()));
  }
  std::vector<std::byte> pages;
  for (PageIndex page = 0; page < head.page_count; ++page) {
    const ClassId id = cache.page_table_.class_of(page);
    const Page& entry = cache.page_table_.at(page);
    AppendRecord(pages, PageRecord{.class_id = id, .carved = entry.carved, .used = entry.used});
    if (id == 0) continue;
    const std::uint32_t chunk_bytes = cache.ladder_.chunk_bytes(id);
    for (std::uint32_t number = 0; number < entry.carved; ++number) {
      const ItemRef ref = arena.RefOf(arena.PageAt(page) + std::size_t{number} * chunk_bytes);
      Item& item = arena.At(ref);
      if (item.use() == ChunkUse::kFree) continue;
      const bool is_queued = item.use() == ChunkUse::kQueued;
      const bool is_pinned = is_queued && item.refs.load(std::memory_order_relaxed) != 1;
      if (item.use() == ChunkUse::kOwned || is_pinned) {
        return Failure{std::string("an item is still in use")};
      }
      if (is_queued) {
        ++head.items;
        PutOnWallTime(item, now);
      }
      head.digest += DigestOf(ref, item, chunk_bytes);
    }
  }
  std::vector<std::byte> state;
  state.reserve(sizeof head + classes.size() + pages.size());
  AppendRecord(state, head);
  state.insert(state.end(), classes.begin(), classes.end());
  state.insert(state.end(), pages.begin(), pages.end());
  return state;
}

// --- Restoring -----------------------------------------------------------------------------------

// Makes an empty cache what a state says it was. Links between items are checked without following
// them, since items are met in the order of their addresses: what all say of their successors has
// to be, as a set, what all say of their predecessors.
//
// Threads: one.
class CacheSnapshot::Restorer {
 public:
  explicit Restorer(Cache& cache) : cache_(cache) {}

  Result<SavedMoment, std::string> Restore(std::span<const std::byte> state,
                                           const Cache::Options& options,
                                           const std::function<void(const std::string&)>& tell);

 private:
  // Items whose buckets travel while further ones are read.
  static constexpr std::size_t kBatch = 32;
  struct Pending {
    std::uint64_t hash;
    ItemRef ref;
  };
  // What was met of a list: its items, those without a predecessor, and without a successor.
  struct SeenList {
    std::uint64_t count = 0;
    std::uint64_t heads = 0;
    std::uint64_t tails = 0;
    bool has_wrong_end = false;
  };

  // Each: the reason why not, or nothing.
  std::string CheckHead(const Head& head, std::size_t state_bytes, std::uint32_t now_s) const;
  std::string CheckClasses() const;
  std::string TakePages(const Head& head);
  std::string ScanPage(PageIndex page, Lane& lane);
  std::string CheckItem(ItemRef ref, const Item& item, std::uint32_t chunk_bytes);
  std::string CheckChain(ItemRef ref, const Item& item);
  std::string CheckWhole(const Head& head) const;
  void NoteExpired(ItemRef ref, const Item& item, std::uint32_t now_s);
  // At the stop, or since.
  bool HasExpired(Expiry expiry, std::uint32_t now_s) const;
  void NoteLinks(ItemRef ref, const Item& item, ClassId id);
  void AddToIndex(std::uint64_t hash, ItemRef ref);
  void FlushBatch();

  std::uint32_t ChunkBytes(std::uint32_t id) const {
    return cache_.ladder_.chunk_bytes(static_cast<ClassId>(id));
  }
  // A chunk that was handed out once.
  bool IsChunk(ItemRef ref) const;

  Cache& cache_;
  std::uint32_t stopped_at_s_ = 0;
  std::vector<ClassRecord> class_records_;  // By ClassId, [0] unused.
  std::vector<PageRecord> page_records_;
  std::vector<std::array<SeenList, 2>> seen_;  // By ClassId and Segment.
  std::uint64_t digest_ = 0;
  std::uint64_t items_ = 0;
  std::uint64_t continuations_ = 0;          // Met in pages,
  std::uint64_t chained_continuations_ = 0;  // and in chains.
  std::uint64_t successors_ = 0;  // Sums over links, as the items before and behind them have them.
  std::uint64_t predecessors_ = 0;
  std::array<Pending, kBatch> batch_{};
  std::size_t batched_ = 0;
};

Result<SavedMoment, std::string> CacheSnapshot::Restore(
    Cache& cache, std::span<const std::byte> state, const Cache::Options& options,
    const std::function<void(const std::string&)>& tell) {
  return Restorer(cache).Restore(state, options, tell);
}

Result<SavedMoment, std::string> CacheSnapshot::Restorer::Restore(
    std::span<const std::byte> state, const Cache::Options& options,
    const std::function<void(const std::string&)>& tell) {
  if (state.size() < sizeof(Head)) return Failure{std::string("its state is too short")};
  const std::size_t state_bytes = state.size();
  const auto head = ReadRecord<Head>(state);
  if (std::string wrong = CheckHead(head, state_bytes, options.now_s); !wrong.empty()) {
    return Failure{std::move(wrong)};
  }
  stopped_at_s_ = head.stopped_at_s;
  class_records_.resize(head.class_count + 1);
  seen_.resize(head.class_count + 1);
  for (std::uint32_t id = 1; id <= head.class_count; ++id) {
    class_records_[id] = ReadRecord<ClassRecord>(state);
  }
  if (std::string wrong = CheckClasses(); !wrong.empty()) return Failure{std::move(wrong)};
  page_records_.reserve(head.page_count);
  for (PageIndex page = 0; page < head.page_count; ++page) {
    page_records_.push_back(ReadRecord<PageRecord>(state));
  }
  if (std::string wrong = TakePages(head); !wrong.empty()) return Failure{std::move(wrong)};

  // First: items are counted by what the last flush left alive.
  cache_.cas_unused_.store(head.cas_unused, std::memory_order_relaxed);
  cache_.flush_cas_.store(head.flush_cas, std::memory_order_release);
  cache_.flush_cutoff_.store(head.flush_cas, std::memory_order_release);
  // The whole table at once: nothing is inserted that a split would move.
  cache_.index_->Grow(static_cast<std::int64_t>(head.items));
  Lane& lane = cache_.AddLane();
  lane.now_s = options.now_s;
  cache_.KnowFlush(lane, head.flush_cas);
  auto told_at = std::chrono::steady_clock::now();
  std::vector<PageIndex> free_pages;
  for (PageIndex page = 0; page < head.page_count; ++page) {
    if (page_records_[page].class_id == 0) {
      free_pages.push_back(page);
      continue;
    }
    if (options.is_cancelled && options.is_cancelled()) return Failure{std::string("cancelled")};
    if (std::string wrong = ScanPage(page, lane); !wrong.empty()) return Failure{std::move(wrong)};
    if (std::chrono::steady_clock::now() - told_at >= kTellEvery) {
      told_at += kTellEvery;
      tell("read " + std::to_string(items_) + " of " + std::to_string(head.items) + " items");
    }
  }
  FlushBatch();
  if (std::string wrong = CheckWhole(head); !wrong.empty()) return Failure{std::move(wrong)};

  for (std::uint32_t id = 1; id <= head.class_count; ++id) {
    SlabClass& c = cache_.ClassById(id);
    const MutexLock lock(c.mutex());
    c.queue().Restore(class_records_[id].queue());
  }
  cache_.arena_->Restore(head.page_count, std::move(free_pages));
  const bool is_flush_due = HasExpired(head.flush_due, options.now_s);
  return SavedMoment{.now_s = head.stopped_at_s,
                     .flush_due = is_flush_due ? Expiry::LongPast() : head.flush_due};
}

std::string CacheSnapshot::Restorer::CheckHead(const Head& head, std::size_t state_bytes,
                                               std::uint32_t now_s) const {
  const Arena& arena = *cache_.arena_;
  if (head.page_bytes != kPageBytes || head.item_header_bytes != sizeof(Item)) {
    return "its pages or items are of another build";
  }
  if (head.unit_bytes != arena.unit_bytes()) return SettingChanged("-m, by far,");
  if (head.class_count != cache_.ladder_.class_count()) return SettingChanged("-f or -n");
  if (head.item_bytes_max > cache_.item_bytes_max_) return "-I is smaller than it was";
  if (head.page_count > arena.capacity_pages()) return "-m is too small for it";
  const std::size_t expected_bytes = sizeof(Head) + head.class_count * sizeof(ClassRecord) +
                                     std::size_t{head.page_count} * sizeof(PageRecord);
  if (state_bytes != expected_bytes) return "its state has a wrong size";
  if (head.cas_unused == 0 || head.cas_unused > kCasUnusedMax || head.flush_cas > head.cas_unused) {
    return "its CAS counter is impossible";
  }
  // Everything would live longer than it was given.
  if (head.stopped_at_s > now_s && head.stopped_at_s - now_s > kClockBackMaxS) {
    return "it was saved " + std::to_string(head.stopped_at_s - now_s) +
           " s from now: the system's clock went back";
  }
  return {};
}

std::string CacheSnapshot::Restorer::CheckClasses() const {
  for (std::uint32_t id = 1; id < class_records_.size(); ++id) {
    const ClassRecord& record = class_records_[id];
    if (record.chunk_bytes != ChunkBytes(id)) {
      return SettingChanged("-f or -n");
    }
    const EvictionQueue::State queue = record.queue();
    if (!queue.clock.IsPossible() || !std::isfinite(queue.probation_share)) {
      return "the state of its queues is impossible";
    }
  }
  return {};
}

// Enters the pages in the page table, so that references can be checked.
std::string CacheSnapshot::Restorer::TakePages(const Head& head) {
  std::uint64_t used = 0;
  for (PageIndex page = 0; page < head.page_count; ++page) {
    const PageRecord& record = page_records_[page];
    if (record.class_id == 0) continue;
    const bool is_possible = record.class_id <= head.class_count && record.used <= record.carved &&
                             record.carved <= kPageBytes / ChunkBytes(record.class_id);
    if (!is_possible) return "its page table is impossible";
    cache_.page_table_.set_class(page, static_cast<ClassId>(record.class_id));
    used += record.used;
  }
  return head.items <= used ? "" : "it has more items than chunks";
}

std::string CacheSnapshot::Restorer::ScanPage(PageIndex page, Lane& lane) {
  const PageRecord& record = page_records_[page];
  const auto id = static_cast<ClassId>(record.class_id);
  const std::uint32_t chunk_bytes = ChunkBytes(id);
  const Arena& arena = *cache_.arena_;
  ReadAhead(arena.PageAt(page));
  std::uint32_t used = 0;
  ItemRef free_head = kNoItem;
  for (std::uint32_t number = 0; number < record.carved; ++number) {
    const ItemRef ref = arena.RefOf(arena.PageAt(page) + std::size_t{number} * chunk_bytes);
    Item& item = arena.At(ref);
    if (item.use() == ChunkUse::kFree) {
      item.next = free_head;
      free_head = ref;
      continue;
    }
    ++used;
    digest_ += DigestOf(ref, item, chunk_bytes);
    if (item.use() == ChunkUse::kContinuation) {
      ++continuations_;  // What it is good for, its item tells.
      continue;
    }
    if (item.use() != ChunkUse::kQueued) return kIsDamaged + "a chunk is of no known use";
    if (std::string wrong = CheckItem(ref, item, chunk_bytes); !wrong.empty()) return wrong;
    NoteExpired(ref, item, lane.now_s);
    NoteLinks(ref, item, id);
    AddToIndex(cache_.Hash(item.key()), ref);
    cache_.CountLinked(item, id, lane);
    ++items_;
  }
  if (used != record.used) return kIsDamaged + "a page has not as many as it should";
  SlabClass& c = cache_.ClassById(id);
  const MutexLock lock(c.mutex());
  c.TakeIn(page, record.carved, used, free_head);
  return {};
}

std::string CacheSnapshot::Restorer::CheckItem(ItemRef ref, const Item& item,
                                               std::uint32_t chunk_bytes) {
  if (item.refs.load(std::memory_order_relaxed) != 1) return kIsDamaged + "one is in use";
  if (item.key_bytes == 0 || item.key_bytes > kKeyBytesMax) return kIsDamaged + "a key's length";
  const std::size_t cas_bytes = item.has_chosen_cas() ? Item::kChosenCasBytes : 0;
  // used_bytes() reads the head, so that has to be in the chunk.
  if (item.head_bytes() > chunk_bytes || item.used_bytes() + cas_bytes > chunk_bytes) {
    return kIsDamaged + "one is larger than its chunk";
  }
  if (Cache::ItemBytes(item) > cache_.item_bytes_max_ + Item::kExpiryBytes)
    return kIsDamaged + "one is too large";
  return item.is_chained() ? CheckChain(ref, item) : "";
}

std::string CacheSnapshot::Restorer::CheckChain(ItemRef ref, const Item& item) {
  const std::string is_broken = kIsDamaged + "a large one does not hold together";
  if (cache_.page_table_.class_of(cache_.arena_->PageOf(ref)) != cache_.ladder_.largest()) {
    return is_broken;
  }
  // Every piece has bytes, and names its item: so none comes twice, and there is an end.
  std::uint64_t bytes = item.value_bytes_here();
  for (ItemRef at = item.first_continuation(); at != kNoItem;) {
    if (!IsChunk(at)) return is_broken;
    const Item& piece = cache_.arena_->At(at);
    const std::size_t room =
        ChunkBytes(cache_.page_table_.class_of(cache_.arena_->PageOf(at))) - sizeof(Item);
    const std::uint32_t piece_bytes = piece.value_bytes_here();
    if (piece.use() != ChunkUse::kContinuation || piece.prev != ref || piece.key_bytes != 0 ||
        piece.has_flags() || piece.can_expire() || piece.is_chained() || piece_bytes == 0 ||
        piece_bytes > room) {
      return is_broken;
    }
    bytes += piece_bytes;
    if (bytes > item.value_bytes()) return is_broken;
    ++chained_continuations_;
    at = piece.next;
  }
  return bytes == item.value_bytes() ? "" : is_broken;
}

// What had expired when it was saved stays so, though the clock has gone back since; and what has
// since, though it may have gone on by more than an Expiry spans. The file may not be changed
// before it is used.
void CacheSnapshot::Restorer::NoteExpired(ItemRef ref, const Item& item, std::uint32_t now_s) {
  const bool has_come_back =
      HasExpired(item.expiry(), now_s) && !item.expiry().IsOver({.now_s = now_s});
  if (has_come_back) cache_.restored_expired_.push_back(ref);
}

bool CacheSnapshot::Restorer::HasExpired(Expiry expiry, std::uint32_t now_s) const {
  if (!expiry.is_set()) return false;
  const std::int64_t went_by_s = std::int64_t{now_s} - stopped_at_s_;
  return expiry.SecondsLeft({.now_s = stopped_at_s_}) <= std::max<std::int64_t>(went_by_s, 0);
}

bool CacheSnapshot::Restorer::IsChunk(ItemRef ref) const {
  if (ref == kNoItem) return false;
  const std::uint64_t offset = (std::uint64_t{ref} - 1) * cache_.arena_->unit_bytes();
  const std::uint64_t page = offset >> kPageShift;
  if (page >= page_records_.size()) return false;
  const PageRecord& record = page_records_[page];
  if (record.class_id == 0) return false;
  const std::uint64_t in_page = offset % kPageBytes;
  const std::uint32_t chunk_bytes = ChunkBytes(record.class_id);
  return in_page % chunk_bytes == 0 && in_page / chunk_bytes < record.carved;
}

void CacheSnapshot::Restorer::NoteLinks(ItemRef ref, const Item& item, ClassId id) {
  const Segment segment = item.eviction_state().segment();
  const EvictionQueue::State queue = class_records_[id].queue();
  const auto& list = segment == Segment::kMain ? queue.main : queue.probation;
  SeenList& seen = seen_[id][static_cast<std::size_t>(segment)];
  ++seen.count;
  // A link is the same seen from both of its ends. Hashed with the seed of this process, sums of
  // different links are equal once in 2^64 times, and nobody can prepare a file for it.
  const auto link = [&](ItemRef from, ItemRef to) {
    const std::array<std::uint32_t, 3> ends = {
        from, to, std::uint32_t{id} << 1 | static_cast<std::uint32_t>(segment)};
    return cache_.Hash({reinterpret_cast<const char*>(ends.data()), sizeof ends});
  };
  if (item.next != kNoItem) {
    successors_ += link(ref, item.next);
  } else {
    ++seen.tails;
    seen.has_wrong_end |= ref != list.tail;
  }
  if (item.prev != kNoItem) {
    predecessors_ += link(item.prev, ref);
  } else {
    ++seen.heads;
    seen.has_wrong_end |= ref != list.head;
  }
}

std::string CacheSnapshot::Restorer::CheckWhole(const Head& head) const {
  if (digest_ != head.digest || items_ != head.items) return kIsDamaged + "their digest differs";
  if (continuations_ != chained_continuations_) return kIsDamaged + "a piece belongs to no item";
  bool is_whole = successors_ == predecessors_;
  for (std::size_t id = 1; id < seen_.size(); ++id) {
    const EvictionQueue::State queue = class_records_[id].queue();
    for (const Segment segment : {Segment::kProbation, Segment::kMain}) {
      const auto& list = segment == Segment::kMain ? queue.main : queue.probation;
      const SeenList& seen = seen_[id][static_cast<std::size_t>(segment)];
      const std::uint64_t ends = list.count != 0 ? 1 : 0;
      is_whole = is_whole && seen.count == list.count && !seen.has_wrong_end &&
                 seen.heads == ends && seen.tails == ends &&
                 (list.head != kNoItem) == (ends == 1) && (list.tail != kNoItem) == (ends == 1);
    }
  }
  return is_whole ? "" : kIsDamaged + "a queue does not hold together";
}

void CacheSnapshot::Restorer::AddToIndex(std::uint64_t hash, ItemRef ref) {
  cache_.index_->PrefetchBucket(hash);
  batch_[batched_++] = {.hash = hash, .ref = ref};
  if (batched_ == kBatch) FlushBatch();
}

void CacheSnapshot::Restorer::FlushBatch() {
  for (const Pending& pending : std::span(batch_).first(batched_)) {
    cache_.index_->Lock(pending.hash).Insert(pending.hash, pending.ref);
  }
  batched_ = 0;
}

// --- The cache's side ----------------------------------------------------------------------------

Result<std::unique_ptr<Cache>, std::string> Cache::CreateOnFile(const Options& options) {
  const auto tell = [&](const std::string& text) {
    if (options.tell) options.tell("memory file " + options.memory_file + ": " + text);
  };
  const auto started_at = std::chrono::steady_clock::now();
  auto opened = MemoryFile::Open(options.memory_file);
  if (!opened) return Failure{opened.error()};
  std::unique_ptr<MemoryFile> file = std::move(*opened);
  auto state = file->ReadState();
  const std::uint64_t pages = options.memory_bytes >> kPageShift;
  std::string wrong =
      file->Prepare(pages << kPageShift, CacheSnapshot::BytesMax(static_cast<PageIndex>(pages)),
                    options.is_cancelled);
  if (!wrong.empty()) return Failure{std::move(wrong)};

  if (state) {
    auto built = Build(options, std::move(file));
    if (!built) return built;
    Cache& cache = **built;
    const auto moment = CacheSnapshot::Restore(cache, *state, options, tell);
    if (moment) {
      cache.restored_flush_due_ = moment->flush_due;
      const std::uint64_t items = cache.Alive().items;
      const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
          std::chrono::steady_clock::now() - started_at);
      tell("restored " + std::to_string(items) + " items in " + std::to_string(took.count()) +
           " ms");
      return built;
    }
    if (options.is_cancelled && options.is_cancelled()) {
      return Failure{"memory file " + options.memory_file +
                     ": stopped while its items were read: it stays as it was"};
    }
    state = Failure{moment.error()};
    file = std::move(cache.memory_file_);
  }
  tell("starts empty: " + state.error());
  return Build(options, std::move(file));
}

std::string Cache::BeginUse() {
  if (memory_file_ == nullptr) return "";
  std::string wrong = memory_file_->BeginUse();
  if (!wrong.empty()) return wrong;
  for (const ItemRef ref : std::exchange(restored_expired_, {})) {
    LARDER_CHECK(arena_->At(ref).SetExpiry(Expiry::LongPast()));  // It had one.
  }
  return "";
}

Result<std::uint64_t, std::string> Cache::Save(const SavedMoment& moment) {
  LARDER_CHECK(memory_file_ != nullptr);
  const auto state = CacheSnapshot::Take(*this, moment);
  if (!state) return Failure{state.error()};
  if (std::string wrong = memory_file_->WriteState(*state, arena_->PageAt(0)); !wrong.empty()) {
    return Failure{std::move(wrong)};
  }
  return Alive().items;
}

}  // namespace larder::slab
