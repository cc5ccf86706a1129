// Whether the eviction queues of a snapshot hold together.
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

// LinkCheck checks the links between items without following them, since items are met in the order
// of their addresses: what all items say of their successors has to be, as a set, what all say of
// their predecessors.
//
// Threads: one.
// Owns:    sums over what it has seen. The class records must outlive it.
class LinkCheck {
 public:
  // Records by ClassId, [0] unused.
  LinkCheck(KeyHasher hash, std::span<const SnapshotClass> classes)
      : hash_(hash), classes_(classes), seen_(classes.size()) {}

  // A queued item of this class. Each once.
  void Note(ItemRef ref, const Item& item, ClassId id);
  // After all were noted: every queue is one list, with the ends and as many items as its record
  // says.
  bool HoldTogether() const;

 private:
  // What was met of a list: its items, those without a predecessor, and without a successor.
  struct SeenList {
    std::uint64_t count = 0;
    std::uint64_t heads = 0;
    std::uint64_t tails = 0;
    bool has_wrong_end = false;
  };

  const KeyHasher hash_;
  const std::span<const SnapshotClass> classes_;
  std::vector<std::array<SeenList, 2>> seen_;  // By ClassId and Segment.
  std::uint64_t successors_ = 0;  // Sums over links, as the items before and behind them have them.
  std::uint64_t predecessors_ = 0;
};

}  // namespace larder::slab
