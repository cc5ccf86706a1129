#include "slab/engine/restorer.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string_view>
#include <utility>

#include "slab/check.h"

namespace larder::slab {
namespace {

// So many seconds of the system's clock going back are accepted.
constexpr std::uint32_t kClockBackMaxS = 60;
// Progress is reported this often.
constexpr std::chrono::seconds kReportEvery{1};
// CAS numbers up to this leave room for all that will be drawn.
constexpr std::uint64_t kCasUnusedMax = std::uint64_t{1} << 62;

// The beginning of all messages about damaged items.
const std::string kIsDamaged = "its items are damaged: ";

// The message that an option has another value than in the process before.
std::string SettingChanged(std::string_view option) {
  return std::string(option) + " is not what it was";
}

// Has the kernel read a page of the file ahead, if it can.
void ReadAhead(void* page) {
#ifdef MADV_POPULATE_READ
  (void)madvise(page, kPageBytes, MADV_POPULATE_READ);
#else
  (void)page;
#endif
}

}  // namespace

Result<SavedMoment, std::string> CacheSnapshot::Restore(
    Engine& engine, std::span<const std::byte> state, const CacheOptions& options,
    const std::function<void(const std::string&)>& report) {
  LARDER_ASSERT(engine.arena->pages_in_use() == 0);
  return Restorer(engine).Restore(state, options, report);
}

Result<SavedMoment, std::string> Restorer::Restore(
    std::span<const std::byte> state, const CacheOptions& options,
    const std::function<void(const std::string&)>& report) {
  LARDER_ASSERT(class_records_.empty() && page_records_.empty());
  if (state.size() < sizeof(SnapshotHead)) return Failure{std::string("its state is too short")};
  // First everything in the state is checked that does not need the items.
  const std::size_t state_bytes = state.size();
  const auto head = ReadRecord<SnapshotHead>(state);
  if (std::string wrong = CheckHead(head, state_bytes, options.now_s); !wrong.empty()) {
    return Failure{std::move(wrong)};
  }
  stopped_at_s_ = head.stopped_at_s;
  if (std::string wrong = TakeRecords(head, state); !wrong.empty()) {
    return Failure{std::move(wrong)};
  }
  // The versions come first, because items are counted by whether the last flush has left them
  // alive.
  engine_.versions.Restore(head.cas_unused, head.flush_cas);
  Lane& lane = engine_.lanes.Add();
  lane.now_s = options.now_s;
  lane.NoteFlush(head.flush_cas);
  lane_number_ = lane.number;
  // The index gets its size at once, so that nothing has to be moved by splits.
  engine_.index->Grow(static_cast<std::int64_t>(head.items), lane_number_);
  if (std::string wrong = ScanPages(head, options, lane, report); !wrong.empty()) {
    return Failure{std::move(wrong)};
  }
  if (std::string wrong = CheckWhole(head); !wrong.empty()) return Failure{std::move(wrong)};

  // All is well: the queues and the arena take over their state.
  engine_.classes.ForEach([&](SlabClass& c) {
    const MutexLock lock(c.mutex());
    c.queue().Restore(class_records_[c.id()].queue());
  });
  engine_.arena->Restore(head.page_count, std::move(free_pages_));
  // A flush that was due in the meantime happens at once.
  const bool is_flush_due = HasExpired(head.flush_due, options.now_s);
  return SavedMoment{.now_s = head.stopped_at_s,
                     .flush_due = is_flush_due ? Expiry::LongPast() : head.flush_due};
}

// Reads the records behind the head. REQUIRES: the head was checked.
std::string Restorer::TakeRecords(const SnapshotHead& head, std::span<const std::byte> state) {
  class_records_.resize(head.class_count + 1);
  for (std::uint32_t id = 1; id <= head.class_count; ++id) {
    class_records_[id] = ReadRecord<SnapshotClass>(state);
  }
  links_.emplace(engine_.hash, class_records_);
  if (std::string wrong = CheckClasses(); !wrong.empty()) return wrong;
  page_records_.reserve(head.page_count);
  for (PageIndex page = 0; page < head.page_count; ++page) {
    page_records_.push_back(ReadRecord<SnapshotPage>(state));
  }
  return TakePages(head);
}

// Visits all pages. Free pages are only listed.
std::string Restorer::ScanPages(const SnapshotHead& head, const CacheOptions& options, Lane& lane,
                                const std::function<void(const std::string&)>& report) {
  auto reported_at = std::chrono::steady_clock::now();
  for (PageIndex page = 0; page < head.page_count; ++page) {
    if (page_records_[page].class_id == 0) {
      free_pages_.push_back(page);
      continue;
    }
    if (options.is_cancelled && options.is_cancelled()) return "cancelled";
    if (std::string wrong = ScanPage(page, lane); !wrong.empty()) return wrong;
    if (std::chrono::steady_clock::now() - reported_at >= kReportEvery) {
      reported_at += kReportEvery;
      report("read " + std::to_string(items_) + " of " + std::to_string(head.items) + " items");
    }
  }
  FlushBatch();
  return {};
}

std::string Restorer::CheckHead(const SnapshotHead& head, std::size_t state_bytes,
                                std::uint32_t now_s) const {
  const Arena& arena = *engine_.arena;
  // The format and the options must be such that the references and classes of the file have the
  // same meaning now.
  if (head.page_bytes != kPageBytes || head.item_header_bytes != sizeof(Item)) {
    return "its pages or items are of another build";
  }
  if (head.unit_bytes != arena.unit_bytes()) return SettingChanged("-m, by far,");
  if (head.class_count != engine_.classes.ladder().class_count()) return SettingChanged("-f or -n");
  if (head.item_bytes_max > engine_.admission.item_bytes_max()) return "-I is smaller than it was";
  if (head.page_count > arena.capacity_pages()) return "-m is too small for it";
  const std::size_t expected_bytes = sizeof(SnapshotHead) +
                                     head.class_count * sizeof(SnapshotClass) +
                                     std::size_t{head.page_count} * sizeof(SnapshotPage);
  if (state_bytes != expected_bytes) return "its state has a wrong size";
  if (head.cas_unused == 0 || head.cas_unused > kCasUnusedMax || head.flush_cas > head.cas_unused) {
    return "its CAS counter is impossible";
  }
  // If the clock has gone back, all items would live longer than they should.
  if (head.stopped_at_s > now_s && head.stopped_at_s - now_s > kClockBackMaxS) {
    return "it was saved " + std::to_string(head.stopped_at_s - now_s) +
           " s from now: the system's clock went back";
  }
  return {};
}

// Classes must have the same chunk sizes, and queues must be in a possible state.
std::string Restorer::CheckClasses() const {
  for (std::uint32_t id = 1; id < class_records_.size(); ++id) {
    const SnapshotClass& record = class_records_[id];
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
std::string Restorer::TakePages(const SnapshotHead& head) {
  std::uint64_t used = 0;
  for (PageIndex page = 0; page < head.page_count; ++page) {
    const SnapshotPage& record = page_records_[page];
    if (record.class_id == 0) continue;
    const bool is_possible = record.class_id <= head.class_count && record.used <= record.carved &&
                             record.carved <= kPageBytes / ChunkBytes(record.class_id);
    if (!is_possible) return "its page table is impossible";
    engine_.classes.page_table().set_class(page, static_cast<ClassId>(record.class_id));
    used += record.used;
  }
  // The index gets its size by the number of items, so that must be a possible one.
  return head.items <= used ? "" : "it has more items than chunks";
}

// Visits the chunks of a page in the order of their addresses: lists the free ones, checks the
// others, and enters the items.
std::string Restorer::ScanPage(PageIndex page, Lane& lane) {
  const SnapshotPage& record = page_records_[page];
  const auto id = static_cast<ClassId>(record.class_id);
  const std::uint32_t chunk_bytes = ChunkBytes(id);
  const Arena& arena = *engine_.arena;
  ReadAhead(arena.PageAt(page));
  std::uint32_t used = 0;
  ItemRef free_head = kNoItem;
  for (std::uint32_t number = 0; number < record.carved; ++number) {
    const ItemRef ref = arena.RefOf(arena.PageAt(page) + std::size_t{number} * chunk_bytes);
    Item& item = arena.At(ref);
    // The free list is rebuilt. This is the only change that is made to the arena.
    if (item.use() == ChunkUse::kFree) {
      item.next = free_head;
      free_head = ref;
      continue;
    }
    ++used;
    digest_ += SnapshotDigest(ref, item, chunk_bytes);
    if (item.use() == ChunkUse::kContinuation) {
      // The check of its item shows what it belongs to.
      ++continuations_;
      continue;
    }
    if (item.use() != ChunkUse::kQueued) return kIsDamaged + "a chunk is of no known use";
    if (std::string wrong = CheckItem(ref, item, chunk_bytes); !wrong.empty()) return wrong;
    NoteExpired(ref, item, lane.now_s);
    links_->Note(ref, item, id);
    AddToIndex(engine_.hash(item.key()), ref);
    engine_.liveness.CountLinked(item, id, lane);
    ++items_;
  }
  // The page must have as many used chunks as its record says.
  if (used != record.used) return kIsDamaged + "a page has not as many as it should";
  SlabClass& c = engine_.classes.ById(id);
  const MutexLock lock(c.mutex());
  c.TakeIn(page, record.carved, used, free_head);
  return {};
}

// Checks that all sizes in the header fit together and into the chunk, before anything reads by
// them.
std::string Restorer::CheckItem(ItemRef ref, const Item& item, std::uint32_t chunk_bytes) {
  // In a saved cache no item is pinned.
  if (item.refs.load(std::memory_order_relaxed) != 1) return kIsDamaged + "one is in use";
  if (item.key_bytes == 0 || item.key_bytes > kKeyBytesMax) return kIsDamaged + "a key's length";
  const std::size_t cas_bytes = item.has_chosen_cas() ? Item::kChosenCasBytes : 0;
  // used_bytes() reads the parts behind the key, so they have to be within the chunk.
  if (item.head_bytes() > chunk_bytes || item.used_bytes() + cas_bytes > chunk_bytes) {
    return kIsDamaged + "one is larger than its chunk";
  }
  if (item.item_bytes() > engine_.admission.item_bytes_max() + Item::kExpiryBytes)
    return kIsDamaged + "one is too large";
  return item.is_chained() ? CheckChain(ref, item) : "";
}

// Checks the continuations of a chained item.
std::string Restorer::CheckChain(ItemRef ref, const Item& item) {
  const std::string is_broken = kIsDamaged + "a large one does not hold together";
  if (engine_.classes.page_table().class_of(engine_.arena->PageOf(ref)) !=
      engine_.classes.ladder().largest()) {
    return is_broken;
  }
  // Every piece has bytes and names its item. So no piece can occur twice, and the chain must end.
  std::uint64_t bytes = item.value_bytes_here();
  for (ItemRef at = item.first_continuation(); at != kNoItem;) {
    if (!IsChunk(at)) return is_broken;
    const Item& piece = engine_.arena->At(at);
    const std::size_t room =
        ChunkBytes(engine_.classes.page_table().class_of(engine_.arena->PageOf(at))) - sizeof(Item);
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

// An item that had expired when the state was saved stays expired, even if the clock has gone back
// since. An item that has expired since stays expired too, even if the clock has gone on by more
// than an Expiry can express. The file must not be changed before BeginUse, so such items are only
// noted.
void Restorer::NoteExpired(ItemRef ref, const Item& item, std::uint32_t now_s) {
  const bool has_come_back =
      HasExpired(item.expiry(), now_s) && !item.expiry().IsOver({.now_s = now_s});
  if (has_come_back) engine_.restored_expired.push_back(ref);
}

// True if the moment had come at the stop, or has come since.
bool Restorer::HasExpired(Expiry expiry, std::uint32_t now_s) const {
  if (!expiry.is_set()) return false;
  const std::int64_t went_by_s = std::int64_t{now_s} - stopped_at_s_;
  return expiry.SecondsLeft({.now_s = stopped_at_s_}) <= std::max<std::int64_t>(went_by_s, 0);
}

// True if the reference names a chunk that was handed out once, so that its header can be read.
bool Restorer::IsChunk(ItemRef ref) const {
  if (ref == kNoItem) return false;
  const std::uint64_t offset = (std::uint64_t{ref} - 1) * engine_.arena->unit_bytes();
  const std::uint64_t page = offset >> kPageShift;
  if (page >= page_records_.size()) return false;
  const SnapshotPage& record = page_records_[page];
  if (record.class_id == 0) return false;
  const std::uint64_t in_page = offset % kPageBytes;
  const std::uint32_t chunk_bytes = ChunkBytes(record.class_id);
  return in_page % chunk_bytes == 0 && in_page / chunk_bytes < record.carved;
}

// Checks what can be known only after all chunks were read.
std::string Restorer::CheckWhole(const SnapshotHead& head) const {
  if (digest_ != head.digest || items_ != head.items) return kIsDamaged + "their digest differs";
  if (continuations_ != chained_continuations_) return kIsDamaged + "a piece belongs to no item";
  return links_->HoldTogether() ? "" : kIsDamaged + "a queue does not hold together";
}

// Collects items, so that their buckets are prefetched while other chunks are read.
void Restorer::AddToIndex(std::uint64_t hash, ItemRef ref) {
  engine_.index->PrefetchBucket(hash);
  batch_[batched_++] = {.hash = hash, .ref = ref};
  if (batched_ == kBatch) FlushBatch();
}

// Enters the collected items in the index.
void Restorer::FlushBatch() {
  for (const Pending& pending : std::span(batch_).first(batched_)) {
    engine_.index->Lock(pending.hash).Insert(pending.hash, pending.ref, lane_number_);
  }
  batched_ = 0;
}

}  // namespace larder::slab
