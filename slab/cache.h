// Cache: maps keys to items in bounded memory. This is the interface of the folder slab/.
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

#include "slab/engine/engine.h"
#include "slab/engine/snapshot.h"
#include "slab/ids.h"
#include "slab/lane.h"
#include "slab/result.h"
#include "slab/store.h"

namespace larder::slab {

// Cache maps keys to items. It evicts items when memory is full, and never holds more than its
// memory limit. It is a facade: the work is done by the parts of Engine. Three of them, which few
// callers need, are reached directly: page_mover(), walker() and census().
//
// Threads:    internally locked; every thread passes its own Lane. A caller of any method has no
//             bucket locked, except for the methods that the function passed to Visit may call.
// Owns:       everything in the cache. It must outlive its item handles and reserved items.
// Invariants: a linked item is in the index, and in the queue of its class or in a magazine; it is
//             linked and unlinked with its bucket locked. Its chunk is reused only after the last
//             reference is gone.
class Cache {
 public:
  using Options = CacheOptions;

  // Creates a cache, and restores the items of options.memory_file if there is one. Fails with the
  // system's reason if the address ranges cannot be reserved, the memory file cannot be used, a
  // thread cannot be started, or options.is_cancelled ends the restart. A memory file whose items
  // cannot be used is not a failure: the reason is reported and the cache starts empty. With a
  // memory file, the caller calls BeginUse() before anything but AddLane().
  static Result<std::unique_ptr<Cache>, std::string> Create(const Options& options);
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;
  // Makes a lane for the calling thread. It lives as long as the cache.
  Lane& AddLane() { return engine_.lanes.Add(); }
  // The hash of a key, for HashedKey.
  std::uint64_t Hash(std::string_view key) const noexcept { return engine_.hash(key); }

  // --- Reading -------------------------------------------------------------------------------

  // Prefetches for a batch of keys: first call PrefetchBucket for every key, then PrefetchItems for
  // all, which returns the lowest of the hashes, then Visit for each. REQUIRES: at most
  // kPrefetchMax hashes.
  void PrefetchBucket(std::uint64_t hash) const noexcept { engine_.lookup.PrefetchBucket(hash); }
  std::uint64_t PrefetchItems(std::span<const std::uint64_t> hashes) const noexcept {
    return engine_.lookup.PrefetchItems(hashes);
  }

  // If the key is present and alive, calls fn(Item&) with the item's bucket locked. fn may read all
  // of the item, change its expiry and, if it is_rewritable(), its value and CAS. fn must be
  // quick, and may call no method of the cache but Pin, Value, MarkAccess, MarkUse, NoteUse,
  // NextCas, ChooseCas, Renumber, AgeOf and ClassOf. Returns kHit if fn was called, else why not:
  // kMiss, kExpired, kFlushed or kDropped.
  template <class Fn>
  Presence Visit(const HashedKey& key, Lane& lane, Fn&& fn) {
    return engine_.lookup.Visit(key, lane, fn);
  }
  // Visits the item as Visit does, where fn gives the item this expiry: an item without room for an
  // expiry is moved to a chunk with room first. Returns kNoRoom, without calling fn, if there is no
  // memory for that. Without eviction every item has the room.
  template <class Fn>
  Presence VisitToExpire(const HashedKey& key, Expiry expiry, Lane& lane, Fn&& fn) {
    return engine_.growth.VisitToExpire(key, expiry, lane, fn);
  }

  // Counts a read of the item. Only inside Visit. `id` is the item's class, ClassOf(item).
  void MarkAccess(Item& item, ClassId id, const Lane& lane) noexcept {
    engine_.usage.MarkAccess(item, id, lane);
  }
  // Counts a use that reads nothing: it protects the item from eviction, but does not set
  // was_fetched(). Only inside Visit.
  void MarkUse(Item& item, const Lane& lane) noexcept { engine_.usage.MarkUse(item, lane); }
  // The class of an item. Only inside Visit.
  ClassId ClassOf(const Item& item) const noexcept { return engine_.classes.IdOf(item); }
  // Pins the item: its value stays unchanged and in its place until the handle is destroyed, even
  // if the item is removed or replaced. Only inside Visit.
  ItemHandle Pin(Item& item) noexcept { return engine_.pins.Add(item); }
  // A cursor at the beginning of the value. It may be used inside Visit, or as long as a pin is
  // held.
  ValueCursor Value(Item& item) const noexcept { return {*engine_.arena, item}; }
  // For the estimate of miss ratios: whether a key of this hash is in its sample. If it is, call
  // NoteRead before it is read or afterwards, and NoteTouch when it was touched. Either way a read
  // or touch that finds an item is counted as ClassStat::kGetHits or kTouchHits, and one that finds
  // none calls NoteAbsent.
  bool IsSampled(std::uint64_t hash) const noexcept { return engine_.miss_ratios.IsSampled(hash); }
  void NoteRead(std::uint64_t hash, Lane& lane) noexcept {
    engine_.miss_ratios.NoteRead(hash, lane);
  }
  void NoteTouch(const HashedKey& key, Lane& lane) noexcept {
    engine_.miss_ratios.NoteTouch(key, lane);
  }
  // Notes that a read or a touch has found no item.
  void NoteAbsent(std::uint64_t hash, Lane& lane) noexcept {
    engine_.miss_ratios.NoteMiss(hash, lane);
  }
  // Notes another use of the item. Only inside Visit.
  void NoteUse(std::uint64_t hash, const Item& item) noexcept {
    engine_.miss_ratios.NoteUse(hash, item);
  }
  // Seconds since the item was written, with the accuracy of WriteTimes.
  std::uint32_t AgeOf(const Item& item, const Lane& lane) const noexcept {
    return engine_.versions.AgeOf(item, lane);
  }

  // --- Writing -------------------------------------------------------------------------------

  // Stores a value that is complete. `cas_unique` is compared for kCas and, if it is not 0, for
  // kAppend and kPrepend, which keep the flags and the expiry of the old item. See StoreStatus for
  // the results. Copies the value. REQUIRES: spec.value_bytes is the length of `value`.
  StoreOutcome Store(StoreMode mode, const ItemSpec& spec, std::string_view value,
                     std::uint64_t cas_unique, Lane& lane) {
    if (engine_.miss_ratios.IsSampled(spec.key.hash)) [[unlikely]]
      return StoreSampled(mode, spec, value, cas_unique, lane);
    return engine_.storer.Store(mode, spec, value, cas_unique, lane);
  }

  // Reserves room for a value that will arrive in pieces; fill it, then Publish it. Fails with
  // kTooLarge or kNoMemory if there is no room (the caller decides what that means for the old
  // item: see DropRefused), and with kForbidden for the forbidden key. With a chosen_cas the item
  // shows that as its CAS instead of a number of the cache.
  Result<ReservedItem, StoreStatus> Reserve(const ItemSpec& spec, Lane& lane,
                                            std::optional<std::uint64_t> chosen_cas = {}) {
    return engine_.storer.Reserve(spec, lane, chosen_cas);
  }
  // Bytes of the arena that Reserve takes: those of the chunks, each with its share of the unused
  // end of its page. See Reserver::BytesFor.
  std::uint64_t ReservedBytes(const ItemSpec& spec,
                              std::optional<std::uint64_t> chosen_cas) const noexcept {
    return engine_.reserver.BytesFor(spec, chosen_cas);
  }
  // Makes a filled item visible, as `terms` say; the item is freed if they refuse it. See
  // StoreStatus for the results.
  StoreOutcome Publish(ReservedItem item, const PublishTerms& terms, Lane& lane);

  // Gives the item a new number and the CAS that a client chose. Returns false, and changes
  // nothing, if the chunk has no room for the CAS: then leave Visit, call AddRoom, and visit the
  // item again. Only inside Visit.
  [[nodiscard]] bool ChooseCas(Item& item, std::uint64_t cas, Lane& lane) noexcept {
    return engine_.growth.ChooseCas(item, cas, lane);
  }
  // Moves the item to a chunk in which ChooseCas or Item::SetExpiry will succeed; clients see no
  // difference. Returns kMade also if the item has the room already, kMiss if there is no such
  // item, kNoMemory if there is no chunk.
  [[nodiscard]] RoomStatus AddRoom(Room room, const HashedKey& key, Lane& lane) {
    return engine_.growth.AddRoom(room, key, lane);
  }
  // Draws the next number of a write. It is unique, and greater than the number of every write that
  // was finished when the last FlushAll began.
  std::uint64_t NextCas(Lane& lane) noexcept { return engine_.versions.Next(lane); }
  // Gives an item a new number because its value is changed in place. Only inside Visit.
  void Renumber(Item& item, Lane& lane) noexcept { engine_.growth.Renumber(item, lane); }

  // Removes the item. Returns its class, or nothing if there was no item that was alive.
  std::optional<ClassId> Delete(const HashedKey& key, Lane& lane) {
    engine_.miss_ratios.NoteDelete(key.hash);
    return engine_.deleter.Delete(key, lane);
  }
  // Removes the item if its CAS is cas_unique. Returns kExists if it has another CAS, kNotFound if
  // there is no item.
  DeleteOutcome DeleteIfUnchanged(const HashedKey& key, std::uint64_t cas_unique, Lane& lane) {
    const DeleteOutcome outcome = engine_.deleter.DeleteIfUnchanged(key, cas_unique, lane);
    if (outcome.status == DeleteStatus::kDeleted) engine_.miss_ratios.NoteDelete(key.hash);
    return outcome;
  }
  // Removes the old item of a key after a set was refused with `why`, because that item is out of
  // date. Does nothing unless `why` is kTooLarge or kNoMemory. Without an old item, the removal
  // records remember the refusal.
  void DropRefused(const HashedKey& key, StoreStatus why, Lane& lane) {
    engine_.deleter.DropRefused(key, why, lane);
    if (why == StoreStatus::kTooLarge) engine_.miss_ratios.NoteDelete(key.hash);
  }
  // Makes everything invalid that was written before this call. Takes constant time: the items are
  // removed later.
  void FlushAll() noexcept { engine_.versions.FlushAll(); }

  // Makes every item invalid whose key begins with the prefix and that was written before this
  // call. Takes constant time: the items are removed later. Returns false, and changes nothing, if
  // there are CacheOptions::drops_max live drops already. REQUIRES: 1 to kKeyBytesMax bytes.
  [[nodiscard]] bool Drop(std::string_view prefix) { return engine_.drops.Drop(prefix); }
  // Drops of which an item may be left.
  std::uint32_t live_drops() const { return engine_.drops.count(); }

  // The reason why such an item can never be stored, whatever memory there is: kTooLarge or
  // kForbidden; or nothing. Room for an expiry that is not set yet does not count for the limit.
  std::optional<StoreStatus> NeverStored(const ItemSpec& spec) const noexcept {
    return engine_.admission.Refusal(spec);
  }

  // --- Memory --------------------------------------------------------------------------------

  // Changes the memory limit in bytes. Returns false if it is out of bounds. Maintain enforces a
  // lowered limit.
  [[nodiscard]] bool SetMemoryLimit(std::uint64_t bytes) { return engine_.SetMemoryLimit(bytes); }
  std::uint64_t memory_limit_bytes() const { return engine_.arena->limit_bytes(); }
  // Returns pages above the memory limit to the system, a bounded number per call. Call it once a
  // second.
  void Maintain(Lane& lane);
  // Separates the writes before from those after it, so that their ages can be computed, and
  // forgets old removal records. Call it once a second, from one thread. `now_s` is the server's
  // own clock.
  void Tick(std::uint32_t now_s) noexcept;
  // Lets time go on for eviction, reviews misses, searches for dropped items, simulates other sizes
  // of memory, and moves the page that Reassign asked for, and pages that would bring more hits to
  // another class, a bounded number per call. Call it 20 times a second.
  void BalancePages(Lane& lane);
  // What BalancePages moves: the setting, requests and counts.
  PageMover& page_mover() { return engine_.page_mover; }
  // The eviction policy in force.
  EvictionPolicy eviction_policy() const { return engine_.usage.policy(); }
  // Changes the policy for what happens from now on; no item moves.
  void SetEvictionPolicy(EvictionPolicy policy) { engine_.usage.SetPolicy(policy); }
  // Sets the share of the items of every class that may be on probation, 0 to 1. It adapts from
  // there.
  void SetProbationShare(double share) { engine_.usage.SetProbationShare(share); }

  // --- Walks ---------------------------------------------------------------------------------

  // Walks over all items, in steps: for the sweep and for dumps.
  Walker& walker() { return engine_.walker; }
  // Changes with every FlushAll: then items that were alive may be dead.
  std::uint64_t flush_mark() const { return engine_.versions.flush_mark(); }

  // --- Statistics ----------------------------------------------------------------------------

  // The number and bytes of the items that are alive. Exact except for changes made during the
  // call; a flush shows at once.
  AliveCount Alive() const { return engine_.liveness.Alive(); }
  // The state and statistics of the classes, and what memory is used for.
  Census& census() { return engine_.census; }
  // Calls fn for every lane, with the lock of the lanes held: fn must not add a lane.
  void ForEachLane(const std::function<void(const Lane&)>& fn) const { engine_.lanes.ForEach(fn); }
  // Whether items and reads are counted by prefix, and the prefixes that have rows.
  bool counts_prefixes() const { return engine_.lanes.counts_prefixes(); }
  const PrefixTable& prefixes() const { return engine_.prefixes.table(); }
  // Counts a read of this key for its prefix. It stands for `weight` reads, which the caller sees
  // to be right on the average. `stat`: kHits or kMisses. REQUIRES: counts_prefixes().
  void CountPrefixRead(std::string_view key, PrefixStat stat, std::uint64_t weight,
                       Lane& lane) const noexcept {
    engine_.prefixes.CountRead(key, stat, weight, lane);
  }
  // The miss ratios that other memory limits would have.
  MissRatioEstimate EstimateMissRatios() const { return engine_.miss_ratios.Estimate(); }
  // How the key was removed last; nothing if there is no record.
  std::optional<RemovalRecord> LastRemovalOf(std::uint64_t hash, const Lane& lane) const noexcept {
    return engine_.removal_records.Find(hash, lane.now_s);
  }
  // Notes that a get missed a key that was removed in this way, which LastRemovalOf has told. The
  // cache learns from it what it should have kept.
  void NoteMiss(std::uint64_t hash, const RemovalRecord& removal, Lane& lane) {
    engine_.miss_review.Note(hash, removal, lane);
  }
  const Arena& arena() const { return *engine_.arena; }
  const Index& index() const { return *engine_.index; }

  // --- Restarts ------------------------------------------------------------------------------

  // Takes the memory file over. A cache that is destroyed before this call leaves the file as it
  // was, for the next process; after it, only Save leaves anything usable in the file. Returns what
  // went wrong, or an empty string. Does nothing without a memory file. REQUIRES: no method but
  // AddLane was called before.
  [[nodiscard]] std::string BeginUse();
  // Saves everything to the memory file, for the next cache that is created on it. Returns the
  // number of items. Fails with the reason; then the next cache starts empty. Afterwards this cache
  // may only be destroyed. REQUIRES: has_memory_file(), no other thread uses the cache, and no item
  // handle or reserved item is alive.
  Result<std::uint64_t, std::string> Save(const SavedMoment& moment);
  bool has_memory_file() const { return engine_.memory_file != nullptr; }
  // SavedMoment::flush_due of the process before the restart.
  Expiry restored_flush_due() const { return engine_.restored_flush_due; }

  // For tests: see Census::CheckInvariants.
  void CheckInvariants() { engine_.census.CheckInvariants(); }
  // For tests.
  Engine& engine() { return engine_; }

 private:
  Cache(const Options& options, Foundation foundation) : engine_(options, std::move(foundation)) {}
  // Store() of a key of the sample of MissRatios.
  [[gnu::noinline, gnu::cold]] StoreOutcome StoreSampled(StoreMode mode, const ItemSpec& spec,
                                                         std::string_view value,
                                                         std::uint64_t cas_unique, Lane& lane);
  // Creates an empty cache. `memory_file`, if there is one, is prepared.
  static Result<std::unique_ptr<Cache>, std::string> Build(const Options& options,
                                                           std::unique_ptr<MemoryFile> memory_file);
  // Creates a cache on options.memory_file, with the items of the file if they can be used.
  static Result<std::unique_ptr<Cache>, std::string> CreateOnFile(const Options& options);

  Engine engine_;
};

}  // namespace larder::slab
