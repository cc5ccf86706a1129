// Deleter: removes items on behalf of clients.
#pragma once

#include <cstdint>
#include <optional>

#include "slab/classes/slab_classes.h"
#include "slab/engine/lookup.h"
#include "slab/engine/unlinker.h"
#include "slab/eviction/removal_records.h"
#include "slab/ids.h"
#include "slab/index/index.h"
#include "slab/item/hash.h"
#include "slab/lane.h"
#include "slab/store.h"

namespace larder::slab {

// Deleter removes items by their keys.
//
// Threads:    any thread, with no bucket and no class locked.
// Owns:       nothing; its parts must outlive it.
class Deleter {
 public:
  Deleter(Index& index, const SlabClasses& classes, Lookup& lookup, Unlinker& unlinker,
          RemovalRecords& records)
      : index_(index), classes_(classes), lookup_(lookup), unlinker_(unlinker), records_(records) {}

  // See Cache::Delete.
  std::optional<ClassId> Delete(const HashedKey& key, Lane& lane) LARDER_EXCLUDES(kBucketLocked);
  // See Cache::DeleteIfUnchanged.
  DeleteOutcome DeleteIfUnchanged(const HashedKey& key, std::uint64_t cas_unique, Lane& lane)
      LARDER_EXCLUDES(kBucketLocked);
  // See Cache::DropRefused.
  void DropRefused(const HashedKey& key, StoreStatus why, Lane& lane)
      LARDER_EXCLUDES(kBucketLocked);

 private:
  Index& index_;
  const SlabClasses& classes_;
  Lookup& lookup_;
  Unlinker& unlinker_;
  RemovalRecords& records_;
};

}  // namespace larder::slab
