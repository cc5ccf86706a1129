// The cache: keys to items in bounded memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "slab/engine/engine.h"
#include "slab/engine/snapshot.h"
#include "slab/ids.h"
#include "slab/lane.h"
#include "slab/result.h"
#include "slab/store.h"

namespace larder::slab {

// Cache maps keys to items, evicts when memory is full, and never holds more than its limit. It is
// a facade: what it does stands in the parts of Engine.
//
// Threads:    internally locked: every thread comes with its own Lane. A caller of any method has
// no
//             bucket locked, but for what fn of Visit may call.
// Owns:       all of it. Must outlive its handles and reserved items.
// Invariants: a linked item is in the index and in the queue of its class, and both change with its
//             bucket locked. Its chunk is reused only after the last reference is gone.
class Cache {
 public:
  using Options = CacheOptions;

  // Fails with the system's reason when the address ranges cannot be reserved, the memory file
  // cannot be used, or it is cancelled. What is wrong with the items of a memory file is reported,
  // and the cache is empty. On a memory file, BeginUse comes next.
  static Result<std::unique_ptr<Cache>, std::string> Create(const Options& options);
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;
  // A lane for the calling thread; lives as long as the cache.
  Lane& AddLane() { return engine_.lanes.Add(); }
  std::uint64_t Hash(std::string_view key) const noexcept { return engine_.hash(key); }

  // --- Reading -------------------------------------------------------------------------------

  // For batches: first the bucket of every key, then the item of every key, then Visit. REQUIRES:
  // at most kPrefetchMax hashes.
  void PrefetchBucket(std::uint64_t hash) const noexcept { engine_.lookup.PrefetchBucket(hash); }
  void PrefetchItems(std::span<const std::uint64_t> hashes) const noexcept {
    engine_.lookup.PrefetchItems(hashes);
  }

  // If the key is present and alive, calls fn(Item&) under the bucket's lock. fn may read all of
  // the item, change its expiry and, if MayRewrite(), its value and CAS; it must be quick and must
  // not call the cache, but for Pin, Value, MarkAccess, MarkUse, NextCas, ChooseCas, Renumber,
  // AgeOf and ClassOf.
  template <class Fn>
  Presence Visit(const HashedKey& key, Lane& lane, Fn&& fn) {
    return engine_.lookup.Visit(key, lane, fn);
  }
  // The same where fn gives the item this expiry, and finds room for it. kNoRoom when there is
  // none, and no memory for a larger chunk. Without eviction every item has the room.
  template <class Fn>
  Presence VisitToExpire(const HashedKey& key, Expiry expiry, Lane& lane, Fn&& fn) {
    return engine_.growth.VisitToExpire(key, expiry, lane, fn);
  }

  // `id` is the item's class, ClassOf(item).
  void MarkAccess(Item& item, ClassId id, const Lane& lane) noexcept {
    engine_.usage.MarkAccess(item, id, lane);
  }
  // The same for what reads nothing: it spares the item from eviction, but was_fetched() stays.
  void MarkUse(Item& item, const Lane& lane) noexcept { engine_.usage.MarkUse(item, lane); }
  ClassId ClassOf(const Item& item) const noexcept { return engine_.classes.IdOf(item); }
  static std::size_t ItemBytes(const Item& item) noexcept { return item.item_bytes(); }
  ItemHandle Pin(Item& item) noexcept { return engine_.pins.Add(item); }
  ValueCursor Value(Item& item) const noexcept { return {*engine_.arena, item}; }
  // The value may be overwritten in place.
  static bool MayRewrite(const Item& item) noexcept { return item.is_rewritable(); }
  // Seconds since the item was written; as exact as WriteTimes is.
  std::uint32_t AgeOf(const Item& item, const Lane& lane) const noexcept {
    return engine_.versions.AgeOf(item, lane);
  }

  // --- Writing -------------------------------------------------------------------------------

  // Stores a value that is at hand. cas_unique counts for kCas and, if it is not 0, for kAppend and
  // kPrepend, which keep the flags and expiry of the item. REQUIRES: the spec has its length.
  StoreOutcome Store(StoreMode mode, const ItemSpec& spec, std::string_view value,
                     std::uint64_t cas_unique, Lane& lane) {
    return engine_.storer.Store(mode, spec, value, cas_unique, lane);
  }

  // Room for a value that comes in pieces; kTooLarge or kNoMemory if there is none (what that means
  // for the old item is up to the caller: see Delete), kForbidden for the forbidden key.
  // With a chosen_cas, the item shows that instead of a number of the cache's own.
  Result<ReservedItem, StoreStatus> Reserve(const ItemSpec& spec, Lane& lane,
                                            std::optional<std::uint64_t> chosen_cas = {}) {
    return engine_.storer.Reserve(spec, lane, chosen_cas);
  }
  // What Reserve takes of the arena: chunks, each with its share of the end of its page.
  std::uint64_t ReservedBytes(const ItemSpec& spec, bool has_chosen_cas) const noexcept {
    return engine_.reserver.BytesFor(spec, has_chosen_cas);
  }
  StoreOutcome Publish(ReservedItem item, const PublishTerms& terms, Lane& lane) {
    return engine_.storer.Publish(item, terms, lane);
  }
  StoreOutcome Publish(ReservedItem item, StoreMode mode, std::uint64_t cas_unique, Lane& lane) {
    return engine_.storer.Publish(item, {.mode = mode, .cas_unique = cas_unique}, lane);
  }

  // Inside Visit: gives the item a new number, and the CAS that a client chose. False if its chunk
  // has no room for that: then AddRoom, and visit it again.
  [[nodiscard]] bool ChooseCas(Item& item, std::uint64_t cas, Lane& lane) noexcept {
    return engine_.growth.ChooseCas(item, cas, lane);
  }
  // Moves the item to a chunk where ChooseCas, or Item::SetExpiry, succeeds; nobody sees a
  // difference. kMade as well if it has the room by now.
  [[nodiscard]] RoomStatus AddRoom(Room room, const HashedKey& key, Lane& lane) {
    return engine_.growth.AddRoom(room, key, lane);
  }
  // The next number: unique, and greater than that of every write that was over when the last
  // FlushAll began.
  std::uint64_t NextCas(Lane& lane) noexcept { return engine_.versions.Next(lane); }
  // Inside Visit: a new number for an item whose value is changed in place.
  void Renumber(Item& item, Lane& lane) noexcept { engine_.growth.Renumber(item, lane); }

  // The class of the item that was removed, or nothing if there was none alive.
  std::optional<ClassId> Delete(const HashedKey& key, Lane& lane) {
    return engine_.deleter.Delete(key, lane);
  }
  // The same unless the item's CAS is another: then it stays.
  DeleteOutcome DeleteIfUnchanged(const HashedKey& key, std::uint64_t cas_unique, Lane& lane) {
    return engine_.deleter.DeleteIfUnchanged(key, cas_unique, lane);
  }
  // A set was refused, as `why` says: the old item, which is out of date, goes.
  void DropRefused(const HashedKey& key, StoreStatus why, Lane& lane) {
    engine_.deleter.DropRefused(key, why, lane);
  }
  // Everything written before this call is gone.
  void FlushAll() noexcept { engine_.versions.FlushAll(); }

  // Room for an expiry that is still to come does not count.
  bool Fits(const ItemSpec& spec) const noexcept { return engine_.admission.Fits(spec); }
  // Why no such item can be stored, whatever memory there is: kTooLarge, kForbidden, or nothing.
  std::optional<StoreStatus> NeverStored(const ItemSpec& spec) const noexcept {
    return engine_.admission.Refusal(spec);
  }

  // --- Memory --------------------------------------------------------------------------------

  // False when out of bounds. A lowered limit is enforced by Maintain.
  [[nodiscard]] bool SetMemoryLimit(std::uint64_t bytes) { return engine_.SetMemoryLimit(bytes); }
  std::uint64_t memory_limit_bytes() const { return engine_.arena->limit_bytes(); }
  // Once a second: gives pages above the limit back to the system, a bounded number a call.
  void Maintain(Lane& lane);
  // Once a second, by one thread: what was written before is older than what will be.
  void Tick(std::uint32_t now_s) noexcept;
  // Many times a second: moves the pages that Reassign asked for, and those that another class
  // would have more hits from, a bounded number a call.
  void BalancePages(Lane& lane);
  PageMoves page_moves() const { return engine_.page_mover.moves(); }
  void SetPageMoves(PageMoves moves) { engine_.page_mover.set_moves(moves); }
  // Has BalancePages move a page of class `from` (0: one that no class has; -1: of the class that
  // misses it least) to class `to` (0: none). Numbers are those of clients, any will do.
  ReassignStatus Reassign(std::int64_t from, std::int64_t to) {
    return engine_.page_mover.Reassign(from, to);
  }
  EvictionPolicy eviction_policy() const { return engine_.usage.policy(); }
  // Holds for what happens from now on; no item moves.
  void SetEvictionPolicy(EvictionPolicy policy) { engine_.usage.SetPolicy(policy); }
  // Of the items of every class, those that may be on probation; adapts itself from there.
  void SetProbationShare(double share) { engine_.usage.SetProbationShare(share); }

  // --- Walks ---------------------------------------------------------------------------------

  bool IsAtEnd(const PageWalk& walk) const { return engine_.walker.IsAtEnd(walk); }
  // The next step, of up to kWalkChunksMax chunks: frees what is dead, of any class, and nobody
  // uses. REQUIRES: not at the end.
  SweepTally Sweep(PageWalk& walk, Lane& lane) { return engine_.walker.Sweep(walk, lane); }
  // The same to copy what is alive and of these classes. Returns how many of `snapshots` it filled.
  std::size_t Snapshot(PageWalk& walk, const ClassSet& classes, const Lane& lane,
                       std::span<ItemSnapshot, kWalkChunksMax> snapshots) {
    return engine_.walker.Snapshot(walk, classes, lane, snapshots);
  }
  // The same over the queues of one class, which the walk names, from the newest item on. It holds
  // the class for as many items as `snapshots` has room for, kWalkChunksMax at most.
  std::size_t SnapshotQueue(QueueWalk& walk, Lane& lane, std::span<ItemSnapshot> snapshots) {
    return engine_.walker.SnapshotQueue(walk, lane, snapshots);
  }
  std::uint64_t flush_mark() const {
    return engine_.versions.flush_mark();
  }  // FlushAll changes it.

  // --- Statistics ----------------------------------------------------------------------------

  // Exact but for what changes meanwhile; a flush shows at once.
  AliveCount Alive() const { return engine_.liveness.Alive(); }
  std::vector<ClassSnapshot> Classes(Lane& lane) { return engine_.census.TakeClasses(lane); }
  // Takes milliseconds for every 10 GiB, see ResidentBytes.
  MemoryUse Memory() { return engine_.census.Memory(); }
  // Calls fn for every lane, under a lock.
  void ForEachLane(const std::function<void(const Lane&)>& fn) const { engine_.lanes.ForEach(fn); }
  void ResetClassStats() { engine_.census.ResetClassStats(); }
  // How the key left last, if that is remembered.
  std::optional<RemovalRecord> LastRemovalOf(std::uint64_t hash, const Lane& lane) const noexcept {
    return engine_.removal_records.Find(hash, lane.now_s);
  }
  // Pages that went from one class to another, or back to the system.
  std::uint64_t pages_moved() const { return engine_.page_mover.pages_moved(); }
  PageMoveStats page_move_stats() const { return engine_.page_mover.stats(); }
  const Arena& arena() const { return *engine_.arena; }
  const Index& index() const { return *engine_.index; }
  const SizeLadder& ladder() const { return engine_.classes.ladder(); }
  const RemovalRecords& removal_records() const { return engine_.removal_records; }
  std::uint32_t item_bytes_max() const { return engine_.admission.item_bytes_max(); }

  // --- Restarts ------------------------------------------------------------------------------

  // Takes the memory file over: until now a cache that is destroyed leaves it for the next one as
  // it was, from now on only Save leaves anything. Says what went wrong, or nothing; does nothing
  // without a memory file. REQUIRES: nothing but AddLane was called before.
  [[nodiscard]] std::string BeginUse();
  // Leaves all in the memory file for the next one that is created on it; returns the number of
  // items. Fails with the reason, and the next one starts empty. This one may only be destroyed.
  // REQUIRES: has_memory_file(), no other thread is active, and no handle or reserved item is
  // alive.
  Result<std::uint64_t, std::string> Save(const SavedMoment& moment);
  bool has_memory_file() const { return engine_.memory_file != nullptr; }
  // SavedMoment::flush_due of the time before a restart.
  Expiry restored_flush_due() const { return engine_.restored_flush_due; }

  // Tests: see Census::CheckInvariants.
  void CheckInvariants() { engine_.census.CheckInvariants(); }
  Engine& engine() { return engine_; }  // Tests.

 private:
  Cache(const Options& options, Foundation foundation) : engine_(options, std::move(foundation)) {}
  // An empty one. The file, if there is one, is prepared.
  static Result<std::unique_ptr<Cache>, std::string> Build(const Options& options,
                                                           std::unique_ptr<MemoryFile> memory_file);
  static Result<std::unique_ptr<Cache>, std::string> CreateOnFile(const Options& options);

  Engine engine_;
};

}  // namespace larder::slab
