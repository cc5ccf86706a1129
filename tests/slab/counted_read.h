// CountedRead: a read as the server makes it.
#pragma once

#include "slab/cache.h"

namespace larder::slab {

// Looks for the key, marks and counts what it finds, and notes the read for the estimate of miss
// ratios. The caller notes a miss.
//
// Threads:    one worker, with its own lane.
inline Presence CountedRead(Cache& cache, const HashedKey& key, Lane& lane) {
  const Presence presence = cache.Visit(key, lane, [&](Item& item) {
    const ClassId id = cache.ClassOf(item);
    cache.MarkAccess(item, id, lane);
    lane.classes[id].Add(ClassStat::kGetHits);
  });
  if (cache.IsSampled(key.hash)) cache.NoteRead(key.hash, lane);
  return presence;
}

}  // namespace larder::slab
