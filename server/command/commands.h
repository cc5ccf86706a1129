// What commands do, whichever protocol asks for it. Each is run in one place, which tells its
// outcome to the observers; the protocols read requests and write replies.
#pragma once

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
#include "slab/result.h"

namespace larder::server {

// The most that follows a value in a reply.
inline constexpr std::size_t kTailBytesMax = 64;

// An incr or decr.
struct NumberChange {
  bool is_incr = true;
  std::uint64_t delta = 0;
  std::uint64_t cas_unique = 0;                            // Not 0: of an item with this CAS only.
  std::optional<std::uint64_t> chosen_cas = std::nullopt;  // Its CAS becomes this.
  std::optional<slab::Expiry> expiry = std::nullopt;       // Its expiry becomes this.
};

struct ChangeOutcome {
  CommandResult result = CommandResult::kMiss;
  std::uint64_t number = 0;  // kDone: the new one.
  std::uint64_t cas = 0;     // kDone: of the item now.
  slab::Expiry expiry = {};  // kDone: of the item before; none if there was none.
  bool is_new = false;       // The item was created, or there was no memory to create it.
};

// Who gives an item the expiry that a touch asks for.
enum class SetsExpiry : std::uint8_t {
  kCommand,
  kCodec,  // Its reply shows the expiry before the touch, or after it, as the request wants.
};

// Commands is what the executors of the protocols share: operations on the cache, which answer
// nothing. A retrieval copies the value under the bucket's lock straight into the output: it calls
// the codec in the middle of its look-up, as write(item, value_bytes, note_use). The codec calls
// note_use() when it has read what that changes, the time of the last use for one, unless this is
// not to count as a use; and does so before it copies the value, which costs less.
//
// Threads: one worker.
// Owns:    nothing but its observers; all that it refers to outlives it.
class Commands {
 public:
  // The client whose requests come next. Must outlive them.
  void set_client(const ClientIdentity& client) { client_ = &client; }

  // As OutcomeObservers.
  bool BeginShow() { return observers_.BeginShow(); }
  void Show(std::string_view key) { observers_.Show(key); }

 protected:
  Commands(Protocol protocol, Shared& shared, slab::Lane& lane, WorkerCounters& counters,
           Output& output)
      : shared_(shared),
        cache_(shared.cache),
        lane_(lane),
        counters_(counters),
        output_(output),
        observers_(protocol, shared, lane, counters) {}

  // Exptimes up to this are seconds from now, others Unix time.
  static constexpr std::uint32_t kRelativeExptimeMax = 60 * 60 * 24 * 30;

  // What an exptime means now; 0: never.
  slab::Expiry ExpiresAt(std::uint32_t exptime) const {
    return exptime == 0 ? slab::Expiry() : ExpiresLater(exptime);
  }
  // Of the text and the meta protocol: a negative one is long past.
  slab::Expiry SignedExpiresAt(std::int32_t exptime) const {
    return exptime < 0 ? LongPast() : ExpiresAt(static_cast<std::uint32_t>(exptime));
  }

  // --- Retrieval -------------------------------------------------------------------------------

  // Has a hit counted. On a miss the protocol decides what comes next: SeeMiss(), as a rule.
  template <class Write>
  [[gnu::always_inline]] slab::Presence Get(const slab::HashedKey& key, const Write& write) {
    return cache_.Visit(
        key, lane_, [&](slab::Item & item) __attribute__((always_inline)) {
          Serve(Operation::kGet, item, write);
        });
  }
  // Likewise, and the item gets this expiry. Has kNoRoom counted as well.
  template <SetsExpiry who = SetsExpiry::kCommand, class Write>
  slab::Presence GetAndTouch(const slab::HashedKey& key, slab::Expiry expiry, const Write& write) {
    return Touch<who>(Operation::kGetAndTouch, key, expiry, write);
  }
  // A touch alone; has a miss counted, too.
  template <class Write>
  slab::Presence Touch(const slab::HashedKey& key, slab::Expiry expiry, const Write& write) {
    const slab::Presence presence =
        Touch<SetsExpiry::kCommand>(Operation::kTouch, key, expiry, write);
    if (ResultOf(presence) == CommandResult::kMiss) {
      observers_.See({.operation = Operation::kTouch, .result = CommandResult::kMiss});
    }
    return presence;
  }
  // A retrieval has missed the key. Yields what to answer all the same: the cluster, if there is
  // one and this is its key. `operation`: kGet or kGetAndTouch. The key's hash is not at hand any
  // more: hits would pay for that.
  [[gnu::noinline]] std::shared_ptr<const ClusterSnapshot> SeeMiss(std::string_view key,
                                                                   Operation operation,
                                                                   slab::Presence presence);
  // The cluster, if there is one and this is its key; has that counted as an answer.
  std::shared_ptr<const ClusterSnapshot> SeeCluster(std::string_view key, Operation operation);
  // Neither: a miss.
  void SeePlainMiss(std::string_view key, Operation operation, slab::Presence presence);

  // Writes an item's value at `out`, where there is room for kPinBytesMin and kTailBytesMax; from
  // kPinBytesMin up as PinValue().
  char* WriteValue(slab::Item& item, std::uint32_t value_bytes, char* out) {
    if (value_bytes >= kPinBytesMin) [[unlikely]]
      return PinValue(item, value_bytes, out);
    // Knowing the bound, the compiler would write `rep movs` for memcpy: 35 ns more to copy 100 B.
    asm("" : "+r"(value_bytes));
    std::memcpy(out, item.value(), value_bytes);
    return out + value_bytes;
  }

  // --- Storage ---------------------------------------------------------------------------------

  // A store that Cache::Store can do.
  struct PlainStore {
    slab::StoreMode mode = slab::StoreMode::kSet;
    std::uint64_t cas_unique = 0;
    OldItem if_refused = OldItem::kStays;
  };
  [[gnu::always_inline]] slab::StoreOutcome Store(const PlainStore& store,
                                                  const slab::ItemSpec& spec,
                                                  std::string_view value) {
    const slab::StoreOutcome outcome =
        cache_.Store(store.mode, spec, value, store.cas_unique, lane_);
    if (NeedsRoom(ResultOf(outcome.status))) [[unlikely]] {
      // Cache::Store removes the old item of a kSet itself.
      const bool is_removed = store.mode == slab::StoreMode::kSet;
      SeeRefusal(spec, store.mode, outcome.status, is_removed ? OldItem::kStays : store.if_refused);
    } else {
      SeeStore(store.mode, spec.value_bytes, outcome);
    }
    return outcome;
  }
  slab::StoreOutcome Store(const StorePlan& plan, std::string_view value);
  // As Store(), but its outcome is part of another command's.
  slab::StoreOutcome StoreUnseen(const StorePlan& plan, std::string_view value);

  // Has room reserved for all of the upload's item, or says why there is none, which was counted.
  std::optional<slab::StoreStatus> ReserveRoom(Upload& upload, UploadMemory::Share share);
  // Why the upload can never be stored, which was counted; nothing if it can.
  std::optional<slab::StoreStatus> RefusalOf(const Upload& upload);
  // All bytes of the value have come.
  slab::StoreOutcome Store(Upload& upload);

  // --- Other commands --------------------------------------------------------------------------

  // kDone, kMiss, or kExists: the item has another CAS than is named.
  CommandResult Delete(const slab::HashedKey& key, std::optional<std::uint64_t> cas_unique);
  // Inside Cache::Visit: the item gets a CAS, this one or a new one, and this expiry if one is
  // named. What it has no room for, if anything: then Cache::AddRoom, and visit it again.
  [[nodiscard]] slab::Room Renew(slab::Item& item, std::optional<std::uint64_t> chosen_cas,
                                 std::optional<slab::Expiry> expiry);
  ChangeOutcome Change(const slab::HashedKey& key, const NumberChange& change) {
    const ChangeOutcome outcome = TryChange(key, change);
    SeeUnchanged(change, outcome.result);
    return outcome;
  }
  // Likewise; a key that is missed gets the number `initial`. plan() says how that is stored, but
  // for the length of its value.
  template <class Plan>
  ChangeOutcome ChangeOrCreate(const slab::HashedKey& key, const NumberChange& change,
                               std::uint64_t initial, const Plan& plan) {
    // Another round is needed only if another client has stored the key meanwhile, and yet another
    // has removed it again.
    for (;;) {
      ChangeOutcome outcome = TryChange(key, change);
      if (outcome.result == CommandResult::kMiss) {
        outcome = Create(plan(), initial);
        if (outcome.result == CommandResult::kNotStored) continue;  // Now it can be changed.
      }
      SeeUnchanged(change, outcome.result);
      return outcome;
    }
  }
  // As Cache::AddRoom.
  slab::RoomStatus AddRoom(slab::Room room, const slab::HashedKey& key) {
    const slab::RoomStatus status = cache_.AddRoom(room, key, lane_);
    CountCopies();
    return status;
  }
  // Replaces a flush that is pending. A time that is not to come is now.
  void FlushAt(slab::Expiry due);

  // The client may set and delete the cluster's config.
  bool MayChangeCluster() const;

  Shared& shared_;
  slab::Cache& cache_;
  slab::Lane& lane_;
  WorkerCounters& counters_;
  Output& output_;
  OutcomeObservers observers_;

 private:
  slab::Expiry ExpiresLater(std::uint32_t exptime) const;  // Not 0.
  [[gnu::noinline, gnu::cold]] slab::Expiry LongPast() const;
  template <class Write>
  [[gnu::always_inline]] void Serve(Operation operation, slab::Item& item, const Write& write) {
    const slab::ClassId class_id = cache_.ClassOf(item);
    const std::uint32_t value_bytes = item.value_bytes();
    observers_.See({.operation = operation, .value_bytes = value_bytes, .class_id = class_id});
    write(
        item, value_bytes, [&]() __attribute__((always_inline)) {
          cache_.MarkAccess(item, class_id, lane_);
        });
  }
  template <SetsExpiry who, class Write>
  slab::Presence Touch(Operation operation, const slab::HashedKey& key, slab::Expiry expiry,
                       const Write& write) {
    const slab::Presence presence = VisitToExpire(key, expiry, [&](slab::Item& item) {
      if constexpr (who == SetsExpiry::kCommand) (void)item.SetExpiry(expiry);  // It has the room.
      Serve(operation, item, write);
    });
    if (presence == slab::Presence::kNoRoom) {
      observers_.See({.operation = operation, .result = CommandResult::kNoMemory});
    }
    return presence;
  }
  template <class Fn>
  slab::Presence VisitToExpire(const slab::HashedKey& key, slab::Expiry expiry, const Fn& fn) {
    const slab::Presence presence = cache_.VisitToExpire(key, expiry, lane_, fn);
    CountCopies();
    return presence;
  }
  // Commits `out`, and hands over a large value: pinned, to be sent from where it lies. Returns
  // `out`, where the reply goes on.
  [[gnu::noinline]] char* PinValue(slab::Item& item, std::uint32_t value_bytes, char* out);

  [[gnu::always_inline]] void SeeStore(slab::StoreMode mode, std::uint32_t value_bytes,
                                       const slab::StoreOutcome& outcome) {
    if (mode != slab::StoreMode::kSet) output_.AddWork(outcome.joined_bytes);
    observers_.See({.operation = Operation::kStore,
                    .result = ResultOf(outcome.status),
                    .value_bytes = value_bytes,
                    .class_id = outcome.class_id,
                    .mode = mode});
  }
  // A store was refused, whatever for: here, and only here, the old item goes if it has to.
  [[gnu::noinline]] void SeeRefusal(const slab::ItemSpec& spec, slab::StoreMode mode,
                                    slab::StoreStatus why, OldItem if_refused);

  // Counts hits, and nothing else.
  struct NumberAttempt;
  ChangeOutcome TryChange(const slab::HashedKey& key, const NumberChange& change);
  void ChangeInPlace(slab::Item& item, const NumberChange& change, NumberAttempt& attempt);
  void SeeChanged(const NumberChange& change, slab::ClassId class_id);
  void SeeUnchanged(const NumberChange& change, CommandResult result);
  ChangeOutcome Create(StorePlan plan, std::uint64_t initial);

  // Values that were copied are work of this turn.
  void CountCopies() { output_.AddWork(std::exchange(lane_.copied_bytes, 0)); }

  const ClientIdentity* client_ = nullptr;
};

}  // namespace larder::server
