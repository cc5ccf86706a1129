// LinkCheck: checks that the eviction queues of a snapshot are intact.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "slab/engine/snapshot_format.h"
#include "slab/ids.h"
#include "slab/item/eviction_state.h"
#include "slab/item/hash.h"
#include "slab/item/item.h"

namespace larder::slab {

// LinkCheck checks the links between items without following them, because items are read in the
// order of their addresses. The set of links that the items have to their successors must be the
// same as the set of links that the items have to their predecessors.
//
// Threads:    one thread.
// Owns:       sums over the items that it has seen. The class records must outlive it.
class LinkCheck {
 public:
  // `classes` has the saved records by ClassId; [0] is unused.
  LinkCheck(KeyHasher hash, std::span<const SnapshotClass> classes)
      : hash_(hash), classes_(classes), seen_(classes.size()) {}

  // Adds a queued item of class `id`. REQUIRES: called once for each item.
  void Note(ItemRef ref, const Item& item, ClassId id);
  // True if every queue is one list, with the ends and the number of items that its record says.
  // REQUIRES: all items were noted.
  bool HoldTogether() const;

 private:
  // What was seen of one list: its items, and how many of them have no predecessor or no successor.
  struct SeenList {
    std::uint64_t count = 0;
    std::uint64_t heads = 0;
    std::uint64_t tails = 0;
    // An item without a neighbour is not the end that the record names.
    bool has_wrong_end = false;
  };

  const KeyHasher hash_;
  const std::span<const SnapshotClass> classes_;
  // By ClassId and Segment.
  std::vector<std::array<SeenList, 2>> seen_;
  // Sums over all links, as the items in front of them have them, and as those behind them have
  // them.
  std::uint64_t successors_ = 0;
  std::uint64_t predecessors_ = 0;
};

}  // namespace larder::slab
