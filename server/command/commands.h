// The commands themselves, independent of the protocol. Each command is executed in one place,
// which passes its outcome to the observers; the protocols only parse requests and write replies.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "server/cluster.h"
#include "server/command/outcome.h"
#include "server/command/outcome_observers.h"
#include "server/input/store_plan.h"
#include "server/input/upload.h"
#include "server/metrics/counters.h"
#include "server/reply/output.h"
#include "server/shared.h"
#include "server/socket/client_identity.h"
#include "slab/cache.h"
#include "slab/check.h"
#include "slab/result.h"

namespace larder::server {

// The most bytes that follow a value in a reply.
inline constexpr std::size_t kTailBytesMax = 64;
// A value that is copied lies in one piece: only items of more than half a page have several.
static_assert(kPinBytesMin <= slab::kPageBytes / 2 - sizeof(slab::Item) - slab::kKeyBytesMax);

// What an incr or decr asks for.
//
// Threads: a value.
struct NumberChange {
  // True for incr, false for decr.
  bool is_incr = true;
  // The number to add or subtract. incr wraps around at 2^64, decr stops at 0.
  std::uint64_t delta = 0;
  // If it is not 0, only an item with this CAS is changed.
  std::uint64_t cas_unique = 0;
  // The CAS that the client chose for the changed item; without one the cache assigns a number.
  std::optional<std::uint64_t> chosen_cas = std::nullopt;
  // The new expiry of the item; without one its expiry stays.
  std::optional<slab::Expiry> expiry = std::nullopt;
};

// What became of an incr or decr.
//
// Threads: a value.
struct ChangeOutcome {
  CommandResult result = CommandResult::kMiss;
  // If kDone: the new number.
  std::uint64_t number = 0;
  // If kDone: the item's CAS after the change.
  std::uint64_t cas = 0;
  // If kDone: the item's expiry before the change; not set if the item was created.
  slab::Expiry expiry = {};
  // The item was created, or would have been if there had been memory.
  bool is_new = false;
};

// What became of a drop.
enum class DropResult : std::uint8_t {
  kDone,
  // --drop-admin is given, and the client is on another machine.
  kNotAllowed,
  // There are -o drops_max drops of which an item may be left.
  kTooMany,
};

// A CAS that no item has: the cache assigns none of more than 48 bits, and clients are not
// expected to choose this one.
inline constexpr std::uint64_t kCasOfNoItem = ~std::uint64_t{0};

// Which part of the program gives the item the expiry that a touch asks for.
enum class SetsExpiry : std::uint8_t {
  // The command does, before the reply is written.
  kCommand,
  // The function that writes the reply does, because the reply may show the expiry before the touch
  // or after it, in the order that the request asks for.
  kWriter,
};

// Commands is the base of the executors of all protocols. It has the operations on the cache, which
// write no replies: an executor derives from it, parses and writes replies.
//
// A retrieval copies the value under the bucket's lock straight into the output, so it calls the
// executor's writer in the middle of its look-up, as write(item, value_bytes, note_use). The writer
// reads from the item what its reply shows, calls note_use(), and then copies the value. note_use()
// records that the item was used and so changes, for example, the time of its last use. It is not
// called if the retrieval is not to count as a use. Calling it before the value is copied costs
// less than after.
//
// Threads: one worker.
// Owns:    its observers. What it refers to must outlive it.
class Commands {
 public:
  // Sets the client whose requests are executed from now on. It must outlive their execution.
  void set_client(const ClientIdentity& client) { client_ = &client; }
  // Whether that client runs on the server's machine.
  bool is_client_local() const { return client_ != nullptr && client_->is_local; }

  // See OutcomeObservers.
  bool BeginShow() { return observers_.BeginShow(client_); }
  bool is_shown() const { return observers_.is_shown(); }
  void ShowBefore(const slab::HashedKey& key, IsWrite is_write) {
    observers_.ShowBefore(key, is_write);
  }
  void Show(std::string_view key) { observers_.Show(key); }
  // Notes for the estimate of miss ratios that a key is read. REQUIRES: the cache samples the key.
  void NoteRead(std::uint64_t hash) { cache_.NoteRead(hash, lane_); }
  // Which of the next `count` requests is counted for its prefix, for all of them; `count` if no
  // prefixes are counted. All are equally likely, whatever the order of a client's keys is.
  std::size_t DrawPrefixSample(std::size_t count) {
    if (lane_.prefixes == nullptr) return count;
    // A Weyl sequence: multiples of the golden ratio, which fall evenly everywhere.
    lane_.prefix_sample += 0x9e37'79b9;
    return std::uint64_t{lane_.prefix_sample} * count >> 32;
  }
  // The misses so far, by which CountPrefixRead() sees what a read has found.
  std::uint64_t missed_reads() const { return lane_.missed_reads.value(); }
  // Counts a read of this key, which has just been executed, for `weight` reads of its prefix.
  [[gnu::noinline]] void CountPrefixRead(std::string_view key, std::uint64_t missed_before,
                                         std::uint64_t weight) {
    const bool is_hit = missed_reads() == missed_before;
    cache_.CountPrefixRead(key, is_hit ? slab::PrefixStat::kHits : slab::PrefixStat::kMisses,
                           weight, lane_);
  }
  // Where the commands are executed.
  const slab::Cache& cache() const { return cache_; }

 protected:
  // `lane` and `counters` are those of the worker; replies go to `output`.
  Commands(Protocol protocol, Shared& shared, slab::Lane& lane, WorkerCounters& counters,
           Output& output)
      : shared_(shared),
        cache_(shared.cache),
        lane_(lane),
        counters_(counters),
        output_(output),
        observers_(protocol, shared, lane, counters) {}

  // An exptime up to this is a number of seconds from now, a greater one is a Unix time
  // (protocol.txt, "Expiration times").
  static constexpr std::uint32_t kRelativeExptimeMax = 60 * 60 * 24 * 30;

  // The expiry that an unsigned exptime means at this moment; 0 means never.
  slab::Expiry ExpiresAt(std::uint32_t exptime) const {
    return exptime == 0 ? slab::Expiry() : ExpiresLater(exptime);
  }
  // The expiry that an exptime of the text or the meta protocol means. A negative one means that
  // the item has expired already.
  slab::Expiry SignedExpiresAt(std::int32_t exptime) const {
    return exptime < 0 ? LongPast() : ExpiresAt(static_cast<std::uint32_t>(exptime));
  }

  // --- Retrieval -------------------------------------------------------------------------------

  // Looks the key up and, on a hit, counts it and calls `write`. A miss is not counted here: the
  // protocol decides what follows it and then calls ReportMiss(), or one of the two below it.
  template <class Write>
  [[gnu::always_inline]] slab::Presence Get(const slab::HashedKey& key, const Write& write) {
    return cache_.Visit(
        key, lane_, [&](slab::Item & item) __attribute__((always_inline)) {
          Serve(Operation::kGet, item, write);
        });
  }
  // Looks the key up like Get() and also gives the item this expiry. Returns kNoRoom, which is
  // counted here, if there is no memory for the expiry; the item stays as it was.
  template <SetsExpiry who = SetsExpiry::kCommand, class Write>
  slab::Presence GetAndTouch(const slab::HashedKey& key, slab::Expiry expiry, const Write& write) {
    return Touch<who>(Operation::kGetAndTouch, key, expiry, write);
  }
  // Gives the item this expiry. A hit and a miss are counted here; kNoRoom, too.
  template <class Write>
  slab::Presence Touch(const slab::HashedKey& key, slab::Expiry expiry, const Write& write) {
    const slab::Presence presence =
        Touch<SetsExpiry::kCommand>(Operation::kTouch, key, expiry, write);
    if (ResultOf(presence) == CommandResult::kMiss) {
      cache_.NoteAbsent(key.hash, lane_);
      observers_.Report(
          {.operation = Operation::kTouch, .result = CommandResult::kMiss, .presence = presence});
    }
    return presence;
  }
  // Reports that a retrieval has missed the key. Returns the cluster's configuration if it is to be
  // answered in place of the item, because one is configured and this is its key; otherwise null,
  // and the miss is counted. `operation` is kGet or kGetAndTouch. The hash is computed again from
  // the key: passing it along would cost each hit.
  [[gnu::noinline]] std::shared_ptr<const ClusterSnapshot> ReportMiss(std::string_view key,
                                                                      Operation operation,
                                                                      slab::Presence presence);
  // The first half of ReportMiss(): returns the cluster's configuration, or null. If it is
  // returned, that is counted.
  std::shared_ptr<const ClusterSnapshot> FindCluster(std::string_view key, Operation operation);
  // The second half of ReportMiss(): counts the miss, with the reason that the cache remembers.
  void ReportPlainMiss(std::string_view key, Operation operation, slab::Presence presence);

  // Writes an item's value at `out` and returns where the reply continues. A value of kPinBytesMin
  // bytes or more is not copied but pinned, see PinValue(). REQUIRES: there is room for
  // kPinBytesMin + kTailBytesMax bytes at `out`, and the item's bucket is locked.
  [[gnu::always_inline]] char* WriteValue(slab::Item& item, std::uint32_t value_bytes, char* out) {
    LARDER_ASSERT(value_bytes == item.value_bytes());
    if (value_bytes >= kPinBytesMin) [[unlikely]]
      return PinValue(item, value_bytes, out);
    LARDER_ASSERT(!item.is_chained());
    LARDER_ASSERT(output_.HasRoom(out, value_bytes + kTailBytesMax));
    // Hides the bound that the compiler has derived: knowing it, it would write `rep movs` for
    // memcpy: 35 ns more to copy 100 B.
    asm("" : "+r"(value_bytes));
    std::memcpy(out, item.value(), value_bytes);
    return out + value_bytes;
  }

  // --- Storage ---------------------------------------------------------------------------------

  // The terms of a store that Cache::Store can do.
  struct PlainStore {
    // The condition under which the value is stored.
    slab::StoreMode mode = slab::StoreMode::kSet;
    // The CAS to compare with, for the modes that compare one.
    std::uint64_t cas_unique = 0;
    // What happens to the present item if there is no room for the new one.
    OldItem if_refused = OldItem::kStays;
  };
  // Stores a value that has arrived completely, and counts the outcome.
  [[gnu::always_inline]] slab::StoreOutcome Store(const PlainStore& store,
                                                  const slab::ItemSpec& spec,
                                                  std::string_view value) {
    const slab::StoreOutcome outcome =
        cache_.Store(store.mode, spec, value, store.cas_unique, lane_);
    if (NeedsRoom(ResultOf(outcome.status))) [[unlikely]] {
      // Cache::Store itself removes the old item when a set is refused.
      const bool is_removed = store.mode == slab::StoreMode::kSet;
      HandleRefusal(spec, store.mode, outcome.status,
                    is_removed ? OldItem::kStays : store.if_refused);
    } else {
      ReportStore(store.mode, spec, outcome);
    }
    return outcome;
  }
  // Stores a value with any option that Cache has, and counts the outcome.
  slab::StoreOutcome Store(const StorePlan& plan, std::string_view value);
  // Stores like Store(), but counts nothing, because the store is a part of another command.
  slab::StoreOutcome StoreUnreported(const StorePlan& plan, std::string_view value);

  // Reserves the whole item of the upload and passes it and `share` to the upload. Returns the
  // reason if there is no room; the refusal was counted.
  std::optional<slab::StoreStatus> ReserveRoom(Upload& upload, UploadMemory::Share share);
  // Returns the reason if the upload can never be stored, however much memory is free; the refusal
  // was counted. Returns nothing otherwise.
  std::optional<slab::StoreStatus> RefusalOf(const Upload& upload);
  // Stores the value of an upload and counts the outcome. REQUIRES: the value has arrived
  // completely.
  slab::StoreOutcome Store(Upload& upload);

  // --- Other commands --------------------------------------------------------------------------

  // Deletes the item. Returns kDone, kMiss, or kExists if a CAS is named and the item has another.
  CommandResult Delete(const slab::HashedKey& key, std::optional<std::uint64_t> cas_unique);
  // Gives an item a new CAS, `chosen_cas` or a number of the cache, and `expiry` if there is one.
  // Returns what the item's chunk has no room for, and then nothing was changed: the caller leaves
  // the look-up, calls AddRoom(), and looks the key up again. REQUIRES: called within
  // Cache::Visit().
  [[nodiscard]] slab::Room Renew(slab::Item& item, std::optional<std::uint64_t> chosen_cas,
                                 std::optional<slab::Expiry> expiry);
  // Changes the number of an item and counts the outcome. Returns kDone, kMiss, kExists,
  // kNotNumeric or kNoMemory.
  ChangeOutcome Change(const slab::HashedKey& key, const NumberChange& change) {
    const ChangeOutcome outcome = TryChange(key, change);
    ReportUnchanged(change, outcome.result);
    return outcome;
  }
  // Changes the number of an item like Change(). If there is no item, it stores the number
  // `initial` instead, as plan() says but for the length of the value. plan() is called for each
  // attempt.
  template <class Plan>
  ChangeOutcome ChangeOrCreate(const slab::HashedKey& key, const NumberChange& change,
                               std::uint64_t initial, const Plan& plan) {
    // Another round is needed only if another client has stored the key since the change missed it,
    // and a further one only if the item was removed again.
    for (;;) {
      ChangeOutcome outcome = TryChange(key, change);
      if (outcome.result == CommandResult::kMiss) {
        outcome = Create(plan(), initial);
        // Another client has created the item: now it can be changed.
        if (outcome.result == CommandResult::kNotStored) continue;
      }
      ReportUnchanged(change, outcome.result);
      return outcome;
    }
  }
  // Moves the item to a chunk that has the room that Renew() lacked; see Cache::AddRoom. The
  // copying counts as work of this turn.
  slab::RoomStatus AddRoom(slab::Room room, const slab::HashedKey& key) {
    const slab::RoomStatus status = cache_.AddRoom(room, key, lane_);
    CountCopies();
    return status;
  }
  // Invalidates all items at the moment `due`, or at once if it is not set or has passed. Replaces
  // a flush that is pending.
  void FlushAt(slab::Expiry due);

  // Invalidates all items whose keys begin with the prefix. REQUIRES: it has the length of a key.
  DropResult Drop(std::string_view prefix);

  // Whether the client may set and delete the cluster's configuration.
  bool MayChangeCluster() const;

  // What the executors use. All of it is the worker's own or internally locked.
  Shared& shared_;
  slab::Cache& cache_;
  slab::Lane& lane_;
  WorkerCounters& counters_;
  Output& output_;
  OutcomeObservers observers_;

 private:
  // ExpiresAt() for an exptime other than 0.
  slab::Expiry ExpiresLater(std::uint32_t exptime) const;
  // SignedExpiresAt() for a negative exptime. Not inlined, because it is rare.
  [[gnu::noinline, gnu::cold]] slab::Expiry LongPast() const;
  // Counts a hit and has the writer reply it. Called under the bucket's lock. The class and the
  // length are read once, before the writer changes anything.
  template <class Write>
  [[gnu::always_inline]] void Serve(Operation operation, slab::Item& item, const Write& write) {
    const slab::ClassId class_id = cache_.ClassOf(item);
    const std::uint32_t value_bytes = item.value_bytes();
    LARDER_ASSERT(class_id != 0);
    observers_.Report({.operation = operation, .value_bytes = value_bytes, .class_id = class_id});
    write(
        item, value_bytes, [&]() __attribute__((always_inline)) {
          cache_.MarkAccess(item, class_id, lane_);
        });
  }
  // The common part of GetAndTouch() and the touch without a value.
  template <SetsExpiry who, class Write>
  slab::Presence Touch(Operation operation, const slab::HashedKey& key, slab::Expiry expiry,
                       const Write& write) {
    const slab::Presence presence = VisitToExpire(key, expiry, [&](slab::Item& item) {
      // VisitToExpire() has made sure that the item has room for an expiry.
      if constexpr (who == SetsExpiry::kCommand) {
        const bool has_room = item.SetExpiry(expiry);
        LARDER_ASSERT(has_room);
      }
      Serve(operation, item, write);
    });
    // With the new expiry.
    if (cache_.IsSampled(key.hash)) [[unlikely]]
      cache_.NoteTouch(key, lane_);
    if (presence == slab::Presence::kNoRoom) {
      observers_.Report({.operation = operation, .result = CommandResult::kNoMemory});
    }
    return presence;
  }
  template <class Fn>
  slab::Presence VisitToExpire(const slab::HashedKey& key, slab::Expiry expiry, const Fn& fn) {
    const slab::Presence presence = cache_.VisitToExpire(key, expiry, lane_, fn);
    CountCopies();
    return presence;
  }
  // Commits the reply up to `out` and appends the value as a pinned one, which is sent from the
  // cache without a copy. Returns `out`, where the reply continues.
  [[gnu::noinline]] char* PinValue(slab::Item& item, std::uint32_t value_bytes, char* out);

  // Counts a store that was not refused for lack of room. An append or prepend copies the whole new
  // value, which is work of this turn.
  [[gnu::always_inline]] void ReportStore(slab::StoreMode mode, const slab::ItemSpec& spec,
                                          const slab::StoreOutcome& outcome) {
    if (mode != slab::StoreMode::kSet) output_.AddWork(outcome.joined_bytes);
    // What the counters do not need is put together only for observers that do.
    if (observers_.is_shown()) [[unlikely]]
      return ReportWholeStore(mode, spec, outcome);
    observers_.Count({.operation = Operation::kStore,
                      .result = ResultOf(outcome.status),
                      .class_id = outcome.class_id,
                      .mode = mode});
  }
  [[gnu::noinline, gnu::cold]] void ReportWholeStore(slab::StoreMode mode,
                                                     const slab::ItemSpec& spec,
                                                     const slab::StoreOutcome& outcome);
  // Counts a store that was refused for lack of room. This is the only place where the old item is
  // removed for that reason.
  [[gnu::noinline]] void HandleRefusal(const slab::ItemSpec& spec, slab::StoreMode mode,
                                       slab::StoreStatus why, OldItem if_refused);

  // Counts hits, and nothing else.
  struct NumberAttempt;
  ChangeOutcome TryChange(const slab::HashedKey& key, const NumberChange& change);
  void ChangeInPlace(slab::Item& item, const NumberChange& change, NumberAttempt& attempt);
  void ReportChanged(const NumberChange& change, slab::ClassId class_id);
  void ReportUnchanged(const NumberChange& change, CommandResult result);
  ChangeOutcome Create(StorePlan plan, std::uint64_t initial);

  // Counts the values that the cache has copied to larger chunks as work of this turn.
  void CountCopies() { output_.AddWork(std::exchange(lane_.copied_bytes, 0)); }

  // The client whose requests are executed; null before the first one.
  const ClientIdentity* client_ = nullptr;
};

}  // namespace larder::server
