// What commands do, whichever protocol asks for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "protocol/binary_packet.h"
#include "protocol/request.h"
#include "server/cluster.h"
#include "server/counters.h"
#include "server/input/upload.h"
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

enum class ChangeStatus : std::uint8_t {
  kChanged,
  kMiss,
  kExists,      // The item has another CAS.
  kNotNumeric,  // Its value is no number.
  kNoMemory,
};

struct ChangeOutcome {
  ChangeStatus status = ChangeStatus::kMiss;
  std::uint64_t number = 0;  // kChanged: the new one.
  std::uint64_t cas = 0;     // kChanged: of the item now.
  slab::Expiry expiry = {};  // kChanged: of the item before.
};

// Commands is what the executors of the protocols share: operations on the cache, with their
// counters, that answer nothing.
//
// Threads: one worker.
// Owns:    nothing; all that it refers to outlives it.
class Commands {
 public:
  // The client whose requests come next. Must outlive them.
  void set_client(const ClientIdentity& client) { client_ = &client; }

 protected:
  Commands(Shared& shared, slab::Lane& lane, WorkerCounters& counters, Output& output)
      : shared_(shared), cache_(shared.cache), lane_(lane), counters_(counters), output_(output) {}

  // Exptimes up to this are seconds from now, others Unix time.
  static constexpr std::uint32_t kRelativeExptimeMax = 60 * 60 * 24 * 30;

  // What an exptime means now; 0: never.
  slab::Expiry ExpiresAt(std::uint32_t exptime) const {
    return exptime == 0 ? slab::Expiry() : ExpiresLater(exptime);
  }
  [[gnu::noinline, gnu::cold]] slab::Expiry LongPast() const;

  // Commits `out`, and hands over a large value: pinned, to be sent from where it lies. Returns
  // `out`, where the reply goes on.
  [[gnu::noinline]] char* PinValue(slab::Item& item, std::uint32_t value_bytes, char* out);
  // A hit, as eviction and the statistics of the item's class see it.
  void CountHit(slab::Item& item, slab::ClassStat stat) {
    const slab::ClassId id = cache_.ClassOf(item);
    cache_.MarkAccess(item, id, lane_);
    lane_.classes[id].Add(stat);
  }

  // If the key is there: its item has this expiry now, and fn(item) is called as by Cache::Visit.
  template <class Fn>
  slab::Presence TouchItem(const slab::HashedKey& key, slab::Expiry expiry, const Fn& fn) {
    return VisitToExpire(key, expiry, [&](slab::Item& item) {
      (void)item.SetExpiry(expiry);  // It has the room.
      fn(item);
    });
  }
  template <class Fn>
  slab::Presence VisitToExpire(const slab::HashedKey& key, slab::Expiry expiry, const Fn& fn) {
    const slab::Presence presence = cache_.VisitToExpire(key, expiry, lane_, fn);
    CountCopies();
    return presence;
  }
  // As Cache::AddRoom.
  slab::RoomStatus AddRoom(slab::Room room, const slab::HashedKey& key) {
    const slab::RoomStatus status = cache_.AddRoom(room, key, lane_);
    CountCopies();
    return status;
  }

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

  // How a storage request without a CAS is stored.
  static slab::StoreMode ModeOf(protocol::Verb verb);
  // Has room reserved for all of the upload's item, or says why there is none.
  std::optional<slab::StoreStatus> ReserveRoom(Upload& upload, UploadMemory::Share share);
  // All bytes of the value have come. Counts nothing.
  slab::StoreOutcome StoreUpload(Upload& upload);

  // cas_unique 0 fits every item.
  slab::DeleteStatus Remove(const slab::HashedKey& key, std::uint64_t cas_unique);
  // Counts nothing.
  slab::StoreOutcome StorePlanned(const StorePlan& plan, std::string_view value);
  // Inside Cache::Visit: the item gets a CAS, this one or a new one, and this expiry if one is
  // named. What it has no room for, if anything: then Cache::AddRoom, and visit it again.
  [[nodiscard]] slab::Room Renew(slab::Item& item, std::optional<std::uint64_t> chosen_cas,
                                 std::optional<slab::Expiry> expiry);
  // Counts no misses: a protocol may create what it missed.
  ChangeOutcome Change(const slab::HashedKey& key, const NumberChange& change);
  // Replaces a flush that is pending. A time that is not to come is now.
  void FlushAt(slab::Expiry due);

  // A get or a touch missed the key, whose hash is not at hand any more: hits would pay for that.
  [[gnu::noinline]] void CountMiss(std::string_view key, slab::Presence presence, Stat misses);
  // A store that got as far as the cache. Not for kTooLarge and kNoMemory.
  void CountStore(slab::StoreMode mode, const slab::StoreOutcome& outcome) {
    lane_.classes[outcome.class_id].Add(slab::ClassStat::kCmdSet);
    if (mode != slab::StoreMode::kSet) CountDependentStore(mode, outcome);
  }

  // The cluster, if there is one and this is its key; asked when the cache has missed.
  std::shared_ptr<const ClusterSnapshot> ClusterUnder(std::string_view key) const;
  // The client may set and delete the cluster's config.
  bool MayChangeCluster() const;

  bool is_detail_on() const { return shared_.detail_enabled.load(std::memory_order_relaxed); }

  Shared& shared_;
  slab::Cache& cache_;
  slab::Lane& lane_;
  WorkerCounters& counters_;
  Output& output_;

 private:
  slab::Expiry ExpiresLater(std::uint32_t exptime) const;  // Not 0.
  void CountDependentStore(slab::StoreMode mode, const slab::StoreOutcome& outcome);
  // Values that were copied are work of this turn.
  void CountCopies() { output_.AddWork(std::exchange(lane_.copied_bytes, 0)); }

  const ClientIdentity* client_ = nullptr;
};

}  // namespace larder::server
