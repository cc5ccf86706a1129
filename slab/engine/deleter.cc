#include "slab/engine/deleter.h"

namespace larder::slab {

std::optional<ClassId> Deleter::Delete(const HashedKey& key, Lane& lane) {
  Index::BucketLock guard(index_, key.hash);
  const LockedItem item = lookup_.FindAlive(guard, key, lane);
  if (!item) return std::nullopt;
  const ClassId id = classes_.IdOf(*item);
  unlinker_.Unlink(guard, item, key.hash, RemovalReason::kDeleted, lane);
  // Report the count with the bucket unlocked: it may split buckets.
  guard.Unlock();
  unlinker_.ReportCount(lane);
  return id;
}

DeleteOutcome Deleter::DeleteIfUnchanged(const HashedKey& key, std::uint64_t cas_unique,
                                         Lane& lane) {
  Index::BucketLock guard(index_, key.hash);
  const LockedItem item = lookup_.FindAlive(guard, key, lane);
  if (!item) return {.status = DeleteStatus::kNotFound};
  if (item->cas() != cas_unique) return {.status = DeleteStatus::kExists};
  const ClassId id = classes_.IdOf(*item);
  unlinker_.Unlink(guard, item, key.hash, RemovalReason::kDeleted, lane);
  guard.Unlock();
  unlinker_.ReportCount(lane);
  return {.status = DeleteStatus::kDeleted, .class_id = id};
}

void Deleter::DropRefused(const HashedKey& key, StoreStatus why, Lane& lane) {
  if (why != StoreStatus::kTooLarge && why != StoreStatus::kNoMemory) return;
  const RemovalReason reason =
      why == StoreStatus::kTooLarge ? RemovalReason::kTooLarge : RemovalReason::kNoMemory;
  Index::BucketLock guard(index_, key.hash);
  const LockedItem item = lookup_.FindAlive(guard, key, lane);
  if (!item) {
    // There is no old item. A client that misses the key now can still learn that a set was
    // refused. A record of an item that was removed for the same reason says more, so it stays.
    const auto known = records_.Find(key.hash, lane.now_s);
    if (known && known->reason == reason) return;
    return records_.Add(key.hash, {.reason = reason}, lane.now_s);
  }
  unlinker_.Unlink(guard, item, key.hash, reason, lane);
  guard.Unlock();
  unlinker_.ReportCount(lane);
}

}  // namespace larder::slab
