// The cache: keys to items in bounded memory.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "slab/classes/page_balancer.h"
#include "slab/classes/page_table.h"
#include "slab/classes/size_ladder.h"
#include "slab/classes/slab_class.h"
#include "slab/engine/extra_pins.h"
#include "slab/engine/item_snapshot.h"
#include "slab/engine/memory_use.h"
#include "slab/engine/page_walk.h"
#include "slab/engine/queue_walk.h"
#include "slab/engine/write_times.h"
#include "slab/eviction/removal_records.h"
#include "slab/index/index.h"
#include "slab/item/hash.h"
#include "slab/item/item.h"
#include "slab/item/keys_equal.h"
#include "slab/item/value_cursor.h"
#include "slab/item_handle.h"
#include "slab/lane.h"
#include "slab/memory/arena.h"
#include "slab/memory/memory_file.h"
#include "slab/memory/memory_warmer.h"
#include "slab/result.h"
#include "slab/store.h"
#include "slab/sync/counter.h"
#include "slab/sync/mutex.h"

namespace larder::slab {

// When pages move between classes to where they bring more hits; the numbers are those of
// memcached's slab_automove. A class that finds nothing to evict gets a page all the same.
enum class PageMoves : std::uint8_t {
  kOff = 0,
  kOn = 1,
  kEager = 2,  // On less evidence.
};

enum class ReassignStatus : std::uint8_t {
  kStarted,
  kBusy,      // The last one is under way.
  kBadClass,  // There is no such class.
  kNoSpare,   // It has no second page.
  kSame,
};

// What moving pages did so far.
struct PageMoveStats {
  std::uint64_t moved_items = 0;    // Copied to another page of their class.
  std::uint64_t moved_pieces = 0;   // Of large items, likewise.
  std::uint64_t dropped_items = 0;  // Evicted, because there was no chunk to copy them to.
  std::uint64_t busy_pages = 0;     // Had to wait for somebody who used an item.
  bool is_running = false;
};

inline constexpr std::size_t kPrefetchMax = 64;

// A class as `stats items` and `stats slabs` show it.
struct ClassSnapshot {
  ClassId id = 0;
  std::uint32_t chunk_bytes = 0;
  std::uint32_t chunks_per_page = 0;
  std::uint32_t pages = 0;
  std::uint64_t used_chunks = 0;
  std::uint64_t probation_items = 0;
  std::uint64_t main_items = 0;
  std::uint64_t probation_target = 0;  // Above it, probation is where room is made.
  std::uint64_t ghost_bytes = 0;
  // Seconds since the oldest item of the segment was used.
  std::uint64_t probation_age_s = 0;
  std::uint64_t main_age_s = 0;
  ClassStats stats;
  QueueStats queue;

  std::uint64_t items() const { return probation_items + main_items; }
};

// What no flush has killed. An item that expired counts until it is removed.
struct AliveCount {
  std::uint64_t items = 0;
  std::uint64_t bytes = 0;

  bool operator==(const AliveCount&) const = default;
};

// What a step of the sweep met.
struct SweepTally {
  std::uint32_t chunks = 1;       // Looked at; a page without any counts as one.
  std::uint32_t checked = 0;      // Items.
  std::uint32_t expiring = 0;     // Of these, alive but with an expiry.
  std::uint32_t reclaimed = 0;    // Of these, dead and freed.
  std::uint32_t passed_over = 0;  // Items that were busy or pinned.
};

// Where tests hold a thread up, to force a schedule.
enum class Moment : std::uint8_t {
  kListed,      // A walk has listed its items, and locked no bucket yet.
  kPageChosen,  // A page is to be emptied. No bucket or class is locked.
  kTenantSeen,  // A page move has looked up the key of an item, and locked nothing.
  kBatchTaken,  // A lane has items in its magazine that are to leave. Only a bucket is locked.
  kSpared,      // It has one of them in its hands, which stays. Its bucket is locked too.
  kNoStock,     // A lane found nothing in its magazine, though it had refilled it.
};

// What a server has to know of its past besides its items.
struct SavedMoment {
  std::uint32_t now_s = 0;        // By the server's own clock.
  std::int32_t wall_ahead_s = 0;  // As in Now.
  Expiry flush_due = {};          // A flush that is still to come.
};

// Cache maps keys to items, evicts when memory is full, and never holds more than its limit.
//
// Threads:    internally locked: every thread comes with its own Lane. Lock order: bucket, class,
//             arena; a holder of a class only tries buckets; nobody holds two classes or two
//             buckets. At most one page mover runs at a time.
// Owns:       arena, index, classes. Must outlive its handles and reserved items.
// Invariants: a linked item is in the index and in the queue of its class, and both change with its
//             bucket locked. Its chunk is reused only after the last reference is gone.
class Cache {
 public:
  struct Options {
    std::uint64_t memory_bytes = std::uint64_t{64} << 20;  // At least a page.
    std::uint32_t item_bytes_max = 1 << 20;  // Header, key, flags and value of one item.
    std::uint32_t chunk_room_min = 16;       // Smallest room for key, flags and value.
    std::optional<double> growth_factor =
        std::nullopt;  // Chunk sizes in memcached's plain geometric steps.
    bool evict = true;
    EvictionPolicy eviction = EvictionPolicy::kSegmented;
    PageMoves page_moves = PageMoves::kOn;
    bool lock_memory = false;
    bool prefault = false;  // Take all memory at once: items, and an index for small ones.
    bool track_sizes = false;
    std::uint64_t hash_seed = 0;
    std::string_view forbidden_key = {};  // A constant: stores of it are kForbidden. Empty: none.
    // A file that is the memory and keeps the items over a restart; empty: none. Its space is taken
    // at once, and memory_bytes cannot be raised later.
    std::string memory_file = {};
    std::uint32_t now_s = 0;                            // Unix time of a restart.
    std::function<void(const std::string&)> tell = {};  // Of a restart: a line; how far it is.
    std::function<void(Moment)> pause = {};  // Tests: called at these moments, with what is locked.
    // Asked now and then while a restart lasts: true ends it.
    std::function<bool()> is_cancelled = {};
  };

  // Fails with the system's reason when the address ranges cannot be reserved, the memory file
  // cannot be used, or it is cancelled. What is wrong with the items of a memory file is told, and
  // the cache is empty. On a memory file, BeginUse comes next.
  static Result<std::unique_ptr<Cache>, std::string> Create(const Options& options);
  ~Cache();
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  // A lane for the calling thread; lives as long as the cache.
  Lane& AddLane() LARDER_EXCLUDES(lanes_mutex_);

  std::uint64_t Hash(std::string_view key) const noexcept { return HashKey(key, hash_seed_); }

  // --- Reading -------------------------------------------------------------------------------

  // For batches: first the bucket of every key, then the item of every key, then Visit.
  void PrefetchBucket(std::uint64_t hash) const noexcept { index_->PrefetchBucket(hash); }
  // REQUIRES: at most kPrefetchMax hashes.
  void PrefetchItems(std::span<const std::uint64_t> hashes) const noexcept;

  // If the key is present and alive, calls fn(Item&) under the bucket's lock. fn may read all of
  // the item, change its expiry and, if MayRewrite(), its value and CAS; it must be quick and must
  // not call the cache, but for Pin, Value, MarkAccess, MarkUse, NextCas, ChooseCas and ClassOf.
  template <class Fn>
  Presence Visit(const HashedKey& key, Lane& lane, Fn&& fn);
  // The same where fn gives the item this expiry, and finds room for it. kNoRoom when there is
  // none, and no memory for a larger chunk. Without eviction every item has the room.
  template <class Fn>
  [[gnu::noinline]] Presence VisitToExpire(const HashedKey& key, Expiry expiry, Lane& lane,
                                           Fn&& fn);

  // `id` is the item's class, ClassOf(item).
  void MarkAccess(Item& item, ClassId id, const Lane& lane) noexcept;
  // The same for what reads nothing: it spares the item from eviction, but was_fetched() stays.
  void MarkUse(Item& item, const Lane& lane) noexcept {
    NoteUse(item, ClassOf(item));
    item.set_last_access(lane.now_s);
  }
  ClassId ClassOf(const Item& item) const noexcept {
    return page_table_.class_of(arena_->PageOf(&item));
  }
  // Header, key, flags and value, as the item limit and `bytes` count them.
  static std::size_t ItemBytes(const Item& item) noexcept {
    return Item::OverheadBytes(item.key_bytes, item.has_flags(), item.can_expire()) +
           item.value_bytes();
  }
  ItemHandle Pin(Item& item) noexcept;
  ValueCursor Value(Item& item) const noexcept { return {*arena_, item}; }
  // The value may be overwritten in place: nobody is reading it outside the lock.
  static bool MayRewrite(const Item& item) noexcept {
    return item.refs.load(std::memory_order_acquire) == 1 && !item.is_chained();
  }

  // --- Writing -------------------------------------------------------------------------------

  // Stores a value that is at hand. cas_unique counts for kCas and, if it is not 0, for kAppend and
  // kPrepend, which keep the flags and expiry of the item.
  StoreOutcome Store(StoreMode mode, const ItemSpec& spec, std::string_view value,
                     std::uint64_t cas_unique, Lane& lane);

  // Room for a value that comes in pieces; kTooLarge or kNoMemory if there is none (what that means
  // for the old item is up to the caller: see Delete), kForbidden for the forbidden key.
  // With a chosen_cas, the item shows that instead of a number of the cache's own.
  Result<ReservedItem, StoreStatus> Reserve(const ItemSpec& spec, Lane& lane,
                                            std::optional<std::uint64_t> chosen_cas = {});
  // What Reserve takes of the arena: chunks, each with its share of the end of its page.
  std::uint64_t ReservedBytes(ItemSpec spec, bool has_chosen_cas) const noexcept;
  StoreOutcome Publish(ReservedItem item, const PublishTerms& terms, Lane& lane);
  StoreOutcome Publish(ReservedItem item, StoreMode mode, std::uint64_t cas_unique, Lane& lane) {
    return Publish(std::move(item), {.mode = mode, .cas_unique = cas_unique}, lane);
  }

  // Inside Visit: gives the item a new number, and the CAS that a client chose. False if its chunk
  // has no room for that: then AddRoom, and visit it again.
  [[nodiscard]] bool ChooseCas(Item& item, std::uint64_t cas, Lane& lane) noexcept;
  // Moves the item to a chunk where ChooseCas, or Item::SetExpiry, succeeds; nobody sees a
  // difference. kMade as well if it has the room by now.
  [[nodiscard]] RoomStatus AddRoom(Room room, const HashedKey& key, Lane& lane);

  // The class of the item that was removed, or nothing if there was none alive.
  std::optional<ClassId> Delete(const HashedKey& key, Lane& lane);
  // The same unless the item's CAS is another: then it stays.
  DeleteOutcome DeleteIfUnchanged(const HashedKey& key, std::uint64_t cas_unique, Lane& lane);
  // A set was refused, as `why` says: the old item, which is out of date, goes.
  void DropRefused(const HashedKey& key, StoreStatus why, Lane& lane);

  // The next number: unique, and greater than that of every write that was over when the last
  // FlushAll began.
  std::uint64_t NextCas(Lane& lane) noexcept {
    if (lane.cas_next >= lane.cas_end ||
        lane.cas_next < range_floor_.load(std::memory_order_acquire)) [[unlikely]] {
      RefillCas(lane);
    }
    return lane.cas_next++;
  }

  // Inside Visit: a new number for an item whose value is changed in place.
  void Renumber(Item& item, Lane& lane) noexcept {
    const std::uint64_t number = NextCas(lane);
    NoteRevived(item, lane);
    item.set_cas(number);
  }

  // Everything written before this call is gone.
  void FlushAll() noexcept LARDER_EXCLUDES(number_mutex_);

  // Room for an expiry that is still to come does not count.
  bool Fits(const ItemSpec& spec) const noexcept {
    return Item::OverheadBytes(spec.key.bytes.size(), spec.client_flags != 0,
                               spec.expiry.is_set()) +
               spec.value_bytes <=
           item_bytes_max_;
  }
  // Why no such item can be stored, whatever memory there is: kTooLarge, kForbidden, or nothing.
  std::optional<StoreStatus> NeverStored(const ItemSpec& spec) const noexcept {
    if (!Fits(spec)) return StoreStatus::kTooLarge;
    return IsForbidden(spec.key) ? std::optional(StoreStatus::kForbidden) : std::nullopt;
  }

  // --- Memory --------------------------------------------------------------------------------

  // False when out of bounds. A lowered limit is enforced by Maintain.
  [[nodiscard]] bool SetMemoryLimit(std::uint64_t bytes) LARDER_EXCLUDES(limit_mutex_);
  std::uint64_t memory_limit_bytes() const { return arena_->limit_bytes(); }
  // Work for once a second: gives pages above the limit back to the system, a bounded number a
  // call.
  void Maintain(Lane& lane);

  // Once a second, by one thread: what was written before is older than what will be.
  void Tick(std::uint32_t now_s) noexcept;
  // Work for many times a second: moves the pages that Reassign asked for, and those that another
  // class would have more hits from. A bounded number a call.
  void BalancePages(Lane& lane) LARDER_EXCLUDES(mover_mutex_);
  PageMoves page_moves() const { return page_moves_.load(std::memory_order_relaxed); }
  void SetPageMoves(PageMoves moves) { page_moves_.store(moves, std::memory_order_relaxed); }
  // Has BalancePages move a page of class `from` (0: one that no class has; -1: of the class that
  // misses it least) to class `to` (0: none). Numbers are those of clients, any will do.
  ReassignStatus Reassign(std::int64_t from, std::int64_t to) LARDER_EXCLUDES(mover_mutex_);

  EvictionPolicy eviction_policy() const { return policy_.load(std::memory_order_relaxed); }
  // Holds for what happens from now on; no item moves.
  void SetEvictionPolicy(EvictionPolicy policy);
  // Of the items of every class, those that may be on probation; adapts itself from there.
  void SetProbationShare(double share);

  // --- Walks ---------------------------------------------------------------------------------

  bool IsAtEnd(const PageWalk& walk) const { return walk.page >= arena_->touched_pages(); }
  // The next step, of up to kWalkChunksMax chunks: frees what is dead, of any class, and nobody
  // uses. REQUIRES: not at the end.
  SweepTally Sweep(PageWalk& walk, Lane& lane);
  // The same to copy what is alive and of these classes. Returns how many of `snapshots` it filled.
  std::size_t Snapshot(PageWalk& walk, const ClassSet& classes, const Lane& lane,
                       std::span<ItemSnapshot, kWalkChunksMax> snapshots);
  // The same over the queues of one class, from the newest item on; the walk says which. It holds
  // the class for as many items as `snapshots` has room for, kWalkChunksMax at most.
  std::size_t SnapshotQueue(QueueWalk& walk, Lane& lane, std::span<ItemSnapshot> snapshots);
  // Changes with FlushAll.
  std::uint64_t flush_mark() const { return flush_cas_.load(std::memory_order_acquire); }

  // --- Statistics ----------------------------------------------------------------------------

  // Exact but for what changes meanwhile: a flush shows at once, whatever is swept when.
  AliveCount Alive() const LARDER_EXCLUDES(lanes_mutex_);
  std::vector<ClassSnapshot> Classes(Lane& lane);
  // Takes milliseconds for every 10 GiB, see ResidentBytes.
  MemoryUse Memory();
  // Calls fn for every lane, under a lock.
  void ForEachLane(const std::function<void(const Lane&)>& fn) const LARDER_EXCLUDES(lanes_mutex_);
  void ResetClassStats();
  // How the key left last, if that is remembered. Of use when it is not present.
  std::optional<RemovalRecord> LastRemovalOf(std::uint64_t hash, const Lane& lane) const noexcept {
    return removal_records_.Find(hash, lane.now_s);
  }
  const RemovalRecords& removal_records() const { return removal_records_; }
  // Seconds since the item was written; as exact as WriteTimes is. Inside Visit.
  std::uint32_t AgeOf(const Item& item, const Lane& lane) const noexcept;
  // Pages that went from one class to another, or back to the system.
  std::uint64_t pages_moved() const { return pages_moved_.load(std::memory_order_relaxed); }
  PageMoveStats page_move_stats() const;
  const Arena& arena() const { return *arena_; }
  const Index& index() const { return *index_; }
  const SizeLadder& ladder() const { return ladder_; }
  std::uint32_t item_bytes_max() const { return item_bytes_max_; }

  // Takes the memory file over: until now a cache that is destroyed leaves it for the next one as
  // it was, from now on only Save leaves anything. Says what went wrong, or nothing; does nothing
  // without a memory file. REQUIRES: nothing but AddLane was called before.
  [[nodiscard]] std::string BeginUse();
  // Leaves all in the memory file for the next one that is created on it; returns the number of
  // items. Fails with the reason, and the next one starts empty. This one may only be destroyed.
  // REQUIRES: has_memory_file(), no other thread is active, and no handle or reserved item is
  // alive.
  Result<std::uint64_t, std::string> Save(const SavedMoment& moment);
  bool has_memory_file() const { return memory_file_ != nullptr; }
  // SavedMoment::flush_due of the time before a restart.
  Expiry restored_flush_due() const { return restored_flush_due_; }

  // Tests: aborts when an invariant of the whole is broken. REQUIRES: no other thread is active,
  // and no handle or reserved item is alive.
  void CheckInvariants();

 private:
  friend class ItemHandle;
  friend class ReservedItem;
  friend class CacheSnapshot;

  Cache(const Options& options, std::unique_ptr<MemoryFile> memory_file,
        std::unique_ptr<Arena> arena, std::unique_ptr<Index> index, SizeLadder ladder,
        PageTable page_table);
  static Result<std::unique_ptr<Cache>, std::string> CreateOnFile(const Options& options);
  // An empty one. The file, if there is one, is prepared.
  static Result<std::unique_ptr<Cache>, std::string> Build(const Options& options,
                                                           std::unique_ptr<MemoryFile> memory_file);

  void Pause(Moment moment) const {
    if (pause_) [[unlikely]]
      pause_(moment);
  }
  // What the warmer looks after.
  std::vector<GrowingMemory*> Growing();

  // Of the memory limit, for what is remembered of keys that left.
  static constexpr std::uint64_t kRemovalRecordsPercent = 1;
  // Pages moved for one store before it fails.
  static constexpr int kMakeRoomTriesMax = 8;

  void PrefetchItem(ItemRef ref) const noexcept;
  // A use that may count. Apart: inlined, it costs every get registers.
  [[gnu::noinline]] void NoteUse(Item& item, ClassId id) noexcept;
  // The order of last use: the item, whose bucket is locked, was used.
  [[gnu::noinline]] void MoveToFront(Item& item) noexcept;
  static std::size_t ItemBytes(const ItemSpec& spec) noexcept {
    return Item::OverheadBytes(spec.key.bytes.size(), spec.client_flags != 0, spec.can_expire()) +
           spec.value_bytes;
  }
  [[gnu::always_inline]] static bool IsExpired(const Item& item, const Lane& lane) noexcept {
    return item.can_expire() && item.expiry().IsOver(lane);
  }
  bool IsFlushed(const Item& item) const noexcept {
    // Numbers wrap at 48 bits; RefillCas keeps everything alive within half of that.
    const std::uint64_t after = item.number() - flush_cas_.load(std::memory_order_acquire);
    return (after & (std::uint64_t{1} << (Item::kNumberBits - 1))) != 0;
  }
  [[gnu::always_inline]] bool IsDead(const Item& item, const Lane& lane) const noexcept {
    return IsExpired(item, lane) || IsFlushed(item);
  }
  Index::Slot FindKey(const Index::Guard& guard, const HashedKey& key) const noexcept;
  // As FindKey, but an item that is dead is unlinked and not found.
  Index::Slot FindAlive(Index::Guard& guard, const HashedKey& key, Lane& lane);

  SlabClass& ClassById(std::size_t id) { return *classes_[id]; }
  SlabClass& ClassOf(ItemRef ref) { return *classes_[page_table_.class_of(arena_->PageOf(ref))]; }

  // The decision of a store before anything is allocated.
  static std::optional<StoreStatus> Refusal(StoreMode mode, const Item* old,
                                            std::uint64_t cas_unique) noexcept;
  // The client that names this CAS has seen the item before its last change.
  bool IsOlder(std::uint64_t cas_unique, const Item& item) const noexcept;
  // Store() without eviction: a touch will need no memory.
  [[gnu::noinline]] StoreOutcome StoreWithRoom(StoreMode mode, ItemSpec spec,
                                               std::string_view value, std::uint64_t cas_unique,
                                               Lane& lane);
  // `bytes` is ItemBytes(spec).
  StoreOutcome StoreSmall(StoreMode mode, const ItemSpec& spec, std::size_t bytes,
                          std::string_view value, std::uint64_t cas_unique, Lane& lane);
  StoreOutcome PublishWhole(ReservedItem& item, const PublishTerms& terms, Lane& lane);
  // A bucket that the caller has locked, and an item in it that must stay.
  struct Held {
    const Index::Guard* guard = nullptr;  // None: and no item.
    ItemRef kept = kNoItem;
  };
  // Reserve() but for its checks. With a bucket locked, kNoMemory says little: no page was moved.
  Result<ReservedItem, StoreStatus> ReserveChunks(ItemSpec spec,
                                                  std::optional<std::uint64_t> chosen_cas,
                                                  const Held& held, Lane& lane);
  // kNotFound if there is nothing to join with.
  StoreOutcome Concatenate(const ReservedItem& added, const PublishTerms& terms, Lane& lane);
  StoreOutcome ConcatenateLocked(const ReservedItem& added, const PublishTerms& terms, Lane& lane);
  std::optional<StoreOutcome> RefusalToJoin(const Item& old, const ReservedItem& added,
                                            const PublishTerms& terms) const;
  // What the two come to, but for its value.
  ItemSpec JoinedSpec(const Item& old, const ReservedItem& added) const;
  void WriteJoined(ValueCursor old, const ReservedItem& added, StoreMode mode,
                   const ReservedItem& joined) const;
  // `old` is what it was joined with; the guard holds its bucket.
  StoreOutcome LinkJoined(Index::Guard& guard, ItemRef old, ReservedItem& joined,
                          const ReservedItem& added, Lane& lane);
  std::optional<std::uint64_t> ChosenCasOf(const ReservedItem& item) const;
  RoomStatus AddRoomLocked(Room room, const HashedKey& key, Lane& lane);
  RoomStatus RoomWithoutMemory(Room room, const HashedKey& key, Lane& lane);
  bool HasRoom(const Item& item, Room room) const noexcept;
  // What is reserved for an item that gets more room.
  struct RoomyShape {
    ItemSpec spec;
    std::optional<std::uint64_t> chosen_cas;
  };
  static RoomyShape ShapeWithRoom(const Item& old, const HashedKey& key, Room room);
  // The guard holds the bucket of `old`, whose value `moved` has. False if the item has a chosen
  // CAS by now, and `moved` no room for it.
  bool LinkMoved(Index::Guard& guard, ItemRef old, ReservedItem& moved, Lane& lane);
  // An item and a pin of it: as long as it is there, neither its value nor its layout change, and
  // no other item gets its chunk. So a key that still has this chunk still has this value.
  struct Original {
    ItemRef ref = kNoItem;
    ItemHandle pin;
    ValueCursor value;
  };
  // No pin: there is no such item, or look(const Item&), called with the bucket locked, said false.
  template <class Look>
  Original PinOriginal(const HashedKey& key, Lane& lane, Look&& look);
  // Links an owned, filled item in place of `old` (which may be empty).
  void Link(Index::Guard& guard, std::uint64_t hash, Index::Slot old, ItemRef ref, Lane& lane);

  // A chunk for an item of class `c`, from free memory or by eviction. `held` is the bucket that
  // the caller has locked, `kept` an item that must stay.
  ItemRef AllocateOrEvict(SlabClass& c, const Index::Guard* held, ItemRef kept, Lane& lane,
                          ItemRef& leftovers) LARDER_REQUIRES(c.mutex());
  ItemRef Evict(SlabClass& c, const Index::Guard* held, ItemRef kept, Lane& lane,
                ItemRef& leftovers) LARDER_REQUIRES(c.mutex());
  // A chunk for a new item from the lane's magazine, which is refilled when it is empty.
  ItemRef TakeStocked(SlabClass& c, const Index::Guard& held, Lane& lane, ItemRef& leftovers)
      LARDER_EXCLUDES(c.mutex());
  void Refill(SlabClass& c, Magazine& magazine, const Index::Guard& held, Lane& lane,
              ItemRef& leftovers) LARDER_EXCLUDES(c.mutex());
  // Slots of a magazine with items that are to leave, those of pages to be emptied by a bit each.
  struct Leaving {
    std::uint32_t begin = 0;  // Behind those with free chunks.
    std::uint32_t end = 0;
    std::uint32_t draining = 0;
  };
  Leaving TakeBatch(SlabClass& c, Magazine& magazine, const Index::Guard& held)
      LARDER_EXCLUDES(c.mutex());
  // The chunk of the item that is in the slot to leave. kNoItem: it stays, or is no longer there.
  ItemRef LetGo(Magazine& magazine, std::uint32_t slot, const Index::Guard& held, Lane& lane,
                ItemRef& leftovers);
  // Takes an item that nobody uses out of the index. The guard holds its bucket.
  ReclaimedItem DropItem(ItemRef ref, std::uint64_t hash, bool is_dead, Index::Guard& guard,
                         Lane& lane, ItemRef& leftovers);
  // Empties a magazine, or all: what is in it is queued, or free.
  void Settle(SlabClass& c, Magazine& magazine, const Index::Guard* held)
      LARDER_REQUIRES(c.mutex());
  void Settle(SlabClass& c) LARDER_REQUIRES(c.mutex());
  // As AllocateOrEvict for a caller that has locked no class; moves a page too, if no bucket is
  // held.
  ItemRef AllocateChunk(SlabClass& c, ItemRef head, const Held& held, Lane& lane);
  bool MakeRoom(SlabClass& needy, Lane& lane) LARDER_EXCLUDES(mover_mutex_);
  std::vector<ClassLoad> Loads();
  // A page of class `from` becomes one of `to`. 0 for `from`: of any other class that may lose it,
  // even its last. 0 for `to`: it goes back to the arena. False if no page can be had at the
  // moment.
  struct PageMove {
    ClassId from = 0;
    ClassId to = 0;
  };
  bool MovePage(PageMove move, Lane& lane) LARDER_REQUIRES(mover_mutex_);
  void MoveWanted(Lane& lane) LARDER_REQUIRES(mover_mutex_);
  bool HasSparePage(SlabClass& c) LARDER_EXCLUDES(c.mutex());
  std::optional<PageIndex> ChoosePage(SlabClass& c, std::span<const PageIndex> busy)
      LARDER_REQUIRES(mover_mutex_);
  bool MayEmpty(SlabClass& c, PageIndex page) const LARDER_REQUIRES(c.mutex());
  bool Evacuate(SlabClass& c, PageIndex page, Lane& lane) LARDER_REQUIRES(mover_mutex_);
  // A chunk of a page that is to be emptied, and the item that it belongs to.
  struct Tenant {
    PageIndex page = 0;
    ItemRef chunk = kNoItem;
    ItemRef item = kNoItem;  // The chunk itself, but for pieces of large items.
  };
  bool EmptyChunk(SlabClass& c, const Tenant& tenant, Lane& lane) LARDER_REQUIRES(mover_mutex_);
  // All three: the guard holds the item's bucket, and nobody else has the item in use. False if no
  // chunk was to be had: nothing has changed.
  bool RelocateItem(SlabClass& c, const Tenant& tenant, Index::Guard& guard, std::uint64_t hash,
                    Lane& lane) LARDER_REQUIRES(mover_mutex_);
  bool RelocatePiece(SlabClass& c, const Tenant& tenant, const Index::Guard& guard, Lane& lane)
      LARDER_REQUIRES(mover_mutex_);
  bool IsPieceOf(SlabClass& c, const Tenant& tenant) const LARDER_EXCLUDES(c.mutex());
  ItemRef AllocateElsewhere(SlabClass& c, const Tenant& tenant, const Index::Guard& held,
                            Lane& lane) LARDER_EXCLUDES(c.mutex());

  // A linked item that a walk met.
  struct WalkedItem {
    ItemRef ref = kNoItem;
    std::uint64_t hash = 0;
  };
  struct WalkedItems {
    std::array<WalkedItem, kWalkChunksMax> list;
    std::size_t count = 0;
    std::uint32_t chunks = 0;  // Looked at.
    // Chunks whose item is to leave and in a lane's hands: it can neither be read nor waited for
    // while the class is locked.
    std::array<std::uint32_t, kWalkChunksMax> held{};
    std::size_t held_count = 0;
    bool is_settled = false;  // What was to leave and in no lane's hands is queued again.

    std::span<const WalkedItem> found() const { return std::span(list).first(count); }
  };
  // The class to lock for the next step; nullptr, and the page is left, if there is nothing for it.
  SlabClass* EnterPage(PageWalk& walk, const ClassSet* wanted);
  // The page is of the class, and the chunk was handed out once.
  bool HasChunk(SlabClass& c, PageIndex page, std::uint32_t number) const
      LARDER_REQUIRES(c.mutex());
  // Steps on. The items stay linked, and in their buckets, while the class is locked; the buckets
  // are on their way.
  void ListLinked(SlabClass& c, PageWalk& walk, WalkedItems& items) LARDER_REQUIRES(c.mutex());
  // REQUIRES: HasChunk.
  void ListChunk(SlabClass& c, PageIndex page, std::uint32_t number, WalkedItems& items)
      LARDER_REQUIRES(c.mutex());
  void TakeOut(SlabClass& c, Index::Guard& guard, const WalkedItem& found, Lane& lane,
               ItemRef& leftovers) LARDER_REQUIRES(c.mutex());
  // The items that come next, and the walk goes on behind them.
  void ListQueued(SlabClass& c, QueueWalk& walk, WalkedItems& items, std::size_t count)
      LARDER_REQUIRES(c.mutex());
  // The first item behind the walk's place; kNoItem at its end.
  ItemRef Resume(SlabClass& c, const QueueWalk& walk) const LARDER_REQUIRES(c.mutex());
  ItemRef NextQueued(SlabClass& c, ItemRef ref) const LARDER_REQUIRES(c.mutex());
  void FillSnapshot(const Item& item, const Lane& lane, ItemSnapshot& snapshot) const;

  // The item, whose bucket is locked and which has `hash`, leaves the cache. A line of
  // RemovalRecords is touched, no lock taken.
  void RecordRemoval(std::uint64_t hash, RemovalReason why, const Item& item,
                     const Lane& lane) noexcept;
  // Of an item that IsDead().
  static RemovalReason CauseOfDeath(const Item& item, const Lane& lane) noexcept {
    return IsExpired(item, lane) ? RemovalReason::kExpired : RemovalReason::kFlushed;
  }
  // RecordRemoval, then Unlink.
  void Retire(Index::Guard& guard, Index::Slot slot, std::uint64_t hash, RemovalReason why,
              Lane& lane);
  // The same for an item that IsDead(). Apart, and without the hash: every get and set would save
  // registers for it.
  [[gnu::noinline, gnu::cold]] Presence RetireDead(Index::Guard& guard, Index::Slot slot,
                                                   Lane& lane);
  // Takes the item out of index and queue, and frees it if nobody pins it.
  void Unlink(Index::Guard& guard, Index::Slot slot, Lane& lane);
  void CountLinked(const Item& item, ClassId id, Lane& lane) noexcept;
  void CountUnlinked(const Item& item, ClassId id, Lane& lane) noexcept;
  void CountResized(std::size_t old_bytes, std::size_t new_bytes, ClassId id, Lane& lane) noexcept;
  void Unpin(ItemRef ref, bool is_extra) noexcept;
  void FreeChunks(ItemRef item);
  std::uint64_t CheckSegment(SlabClass& c, Segment segment, AliveCount& alive)
      LARDER_REQUIRES(c.mutex());
  // Frees chunks linked by Item::next, of any class.
  void FreeList(ItemRef first);
  void TellIndex(Lane& lane) noexcept;
  void RefillCas(Lane& lane) noexcept LARDER_EXCLUDES(number_mutex_);
  // What the lane has counted so far is below the cutoff of the last flush. Its next number comes
  // from another range.
  void KnowFlush(Lane& lane, std::uint64_t cutoff) noexcept;
  // The item's number was drawn before this one.
  bool IsBelow(const Item& item, std::uint64_t number) const noexcept;
  bool IsBelowFloor(const Item& item, const Lane& lane) const noexcept {
    return IsBelow(item, lane.flush_floor.load(std::memory_order_relaxed));
  }
  // The item, which a flush may have killed since it was found, is about to get a new number.
  void NoteRevived(const Item& item, Lane& lane) noexcept;
  static void RaiseTo(std::atomic<std::uint64_t>& bound, std::uint64_t number) noexcept;
  // Since the number was drawn; 0 if that is not known.
  std::uint32_t SecondsSince(std::uint64_t number, const Lane& lane) const noexcept;
  // All but the number, the key and the value, which begins at what it returns.
  [[gnu::always_inline]] static std::byte* FillHeader(Item& item, const ItemSpec& spec,
                                                      std::uint32_t value_bytes,
                                                      const Lane& lane) noexcept {
    item.set_last_access(lane.now_s);
    return item.SetShape(
        {.client_flags = spec.client_flags, .expiry = spec.expiry, .can_expire = spec.can_expire()},
        value_bytes);
  }

  // Asked only where an item is made, so a store over an old one does not pay for it. No key is
  // empty.
  bool IsForbidden(const HashedKey& key) const {
    return key.hash == forbidden_hash_ && IsForbiddenText(key.bytes);
  }
  // Apart: the compiler would have every store save registers for it.
  [[gnu::noinline]] bool IsForbiddenText(std::string_view text) const {
    return text == forbidden_key_;
  }

  const std::uint64_t hash_seed_;
  const std::string_view forbidden_key_;
  const std::uint64_t forbidden_hash_;
  const std::uint32_t item_bytes_max_;
  const bool evict_;
  const bool track_sizes_;
  const std::function<void(Moment)> pause_;  // Mostly empty.
  std::unique_ptr<MemoryFile> memory_file_;  // Constant but for a restart that fails.
  Expiry restored_flush_due_;                // Constant once created.
  std::vector<ItemRef> restored_expired_;    // Until BeginUse: to be given a time long past.
  const std::unique_ptr<Arena> arena_;
  const std::unique_ptr<Index> index_;
  const SizeLadder ladder_;
  const PageTable page_table_;
  // By ClassId; [0] is a placeholder. Constant but for what it points to.
  std::vector<std::unique_ptr<SlabClass>> classes_;

  std::atomic<std::uint64_t> cas_unused_{1};  // Lanes take ranges from here.
  std::atomic<std::uint64_t> flush_cas_{0};   // Items with a smaller CAS were flushed.
  // The first number that the last FlushAll has left alive: flush_cas_, unless that was raised for
  // items that are too old. Written under number_mutex_, before any number is drawn that is not
  // below it; so whoever meets such a number sees the cutoff too.
  std::atomic<std::uint64_t> flush_cutoff_{0};
  // Smaller numbers are not given to writes any more: they are from before the last flush, or from
  // before the current second. Never less than flush_cas_.
  std::atomic<std::uint64_t> range_floor_{0};
  WriteTimes write_times_;
  RemovalRecords removal_records_;
  ExtraPins extra_pins_;

  std::atomic<EvictionPolicy> policy_;  // As the classes have it; changed under mover_mutex_.

  std::atomic<PageMoves> page_moves_;
  // Written under mover_mutex_, read by anyone.
  std::atomic<std::uint64_t> pages_moved_{0};
  Counter moved_items_;
  Counter moved_pieces_;
  Counter dropped_items_;
  Counter busy_pages_;
  std::atomic<bool> is_moving_{false};

  Mutex number_mutex_;  // Held by the one who changes cas_unused_; after every other lock.
  Mutex limit_mutex_;   // Held by the one who changes the memory limit; before the arena's.
  Mutex mover_mutex_;   // Held by the one who moves a page; before every other lock.
  PageIndex mover_cursor_ LARDER_GUARDED_BY(mover_mutex_) = 0;
  PageBalancer balancer_ LARDER_GUARDED_BY(mover_mutex_);
  PagePlan plan_ LARDER_GUARDED_BY(mover_mutex_);  // What is left to do of it.
  std::optional<PageMove> wanted_move_ LARDER_GUARDED_BY(mover_mutex_);  // By Reassign.

  mutable Mutex lanes_mutex_;
  std::deque<Lane> lanes_ LARDER_GUARDED_BY(lanes_mutex_);

  // None when all memory was taken at the start.
  const std::unique_ptr<MemoryWarmer> warmer_;
};

[[gnu::always_inline]] inline Index::Slot Cache::FindKey(const Index::Guard& guard,
                                                         const HashedKey& key) const noexcept {
  return guard.Find(key.hash,
                    [&](ItemRef ref) { return KeysEqual(arena_->At(ref).key(), key.bytes); });
}

inline void Cache::MarkAccess(Item& item, ClassId id, const Lane& lane) noexcept {
  // A hit changes nothing more in an item that has all its hits.
  constexpr std::uint32_t kHits = Item::kEvictionStateMask | Item::kWasFetched;
  constexpr auto saturated = [](EvictionState state) {
    return state.code() << Item::kEvictionStateShift | Item::kWasFetched;
  };
  const std::uint32_t hits = item.size_and_state & kHits;
  if (hits != saturated(EvictionState::Main(EvictionState::kHitsMax)) &&
      hits != saturated(EvictionState::HitOnProbation())) {
    item.set_fetched();
    NoteUse(item, id);
  }
  // Once a second: a line that is only read stays shared between cores. Comparing all 24 bits costs
  // 23 instructions of a get; with 16, an access 18 hours after another, to the second, goes
  // unnoticed.
  if (item.last_access_low != static_cast<std::uint16_t>(lane.now_s)) {
    item.set_last_access(lane.now_s);
  }
}

template <class Fn>
Presence Cache::Visit(const HashedKey& key, Lane& lane, Fn&& fn) {
  Index::Guard guard = index_->Lock(key.hash);
  const Index::Slot slot = FindKey(guard, key);
  if (!slot) return Presence::kMiss;
  Item& item = arena_->At(slot.ref());
  if (IsDead(item, lane)) [[unlikely]] {
    return RetireDead(guard, slot, lane);
  }
  fn(item);
  return Presence::kHit;
}

template <class Fn>
Presence Cache::VisitToExpire(const HashedKey& key, Expiry expiry, Lane& lane, Fn&& fn) {
  // Another round is needed only if another client has replaced the item meanwhile.
  for (;;) {
    bool has_room = true;
    const Presence presence = Visit(key, lane, [&](Item& item) {
      has_room = item.can_expire() || !expiry.is_set();
      if (has_room) [[likely]]
        fn(item);
    });
    if (has_room) [[likely]]
      return presence;
    if (AddRoom(Room::kExpiry, key, lane) == RoomStatus::kNoMemory) return Presence::kNoRoom;
  }
}

inline void Cache::PrefetchItem(ItemRef ref) const noexcept {
  const auto* item = reinterpret_cast<const char*>(&arena_->At(ref));
  // The whole of a small item: a value is copied as soon as it is found. An item of 144 bytes
  // begins anywhere in a line, so it may end in a fourth one.
  const std::uint32_t bytes = ladder_.chunk_bytes(page_table_.class_of(arena_->PageOf(item)));
  __builtin_prefetch(item, 1);
  __builtin_prefetch(item + 64);
  __builtin_prefetch(item + std::min<std::uint32_t>(bytes, 256) - 1);
  if (bytes > 128) __builtin_prefetch(item + 128);
}

inline void Cache::PrefetchItems(std::span<const std::uint64_t> hashes) const noexcept {
  // One key in eight is in an overflow bucket: its item has to wait for that.
  std::uint64_t chained = 0;
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    const Index::Guessed guess = index_->Guess(hashes[i]);
    if (guess.ref != kNoItem) [[likely]] {
      PrefetchItem(guess.ref);
    } else if (guess.may_be_chained) {
      chained |= std::uint64_t{1} << i;
    }
  }
  for (; chained != 0; chained &= chained - 1) {
    const auto i = static_cast<std::size_t>(std::countr_zero(chained));
    const Index::Guessed guess = index_->GuessChained(hashes[i]);
    if (guess.ref != kNoItem) PrefetchItem(guess.ref);
  }
}

}  // namespace larder::slab
