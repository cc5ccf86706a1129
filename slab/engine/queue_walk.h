// QueueWalk: a place in a walk over the queues of a class.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "slab/ids.h"

namespace larder::slab {

// QueueWalk is a place in a walk over the items of a class, from the newest on probation to the
// oldest in main. See Walker::SnapshotQueue.
//
// It names the last items that were met and locks nothing. The walk goes on behind the last of them
// that is still queued. If none of them is still queued, the walk ends, because then those behind
// them are mostly gone too. An item that is used during the walk may be met twice or not at all.
//
// Threads:    one worker.
struct QueueWalk {
  // An item that was met. Its key shows whether the chunk still has that item.
  struct Met {
    ItemRef ref = kNoItem;
    std::uint8_t key_bytes = 0;
    std::array<char, 255> key_room{};

    std::string_view key() const { return {key_room.data(), key_bytes}; }
  };
  // The number of items that the walk remembers.
  static constexpr std::size_t kMetMax = 4;

  // The class to walk over. Set by the caller before the first step.
  ClassId class_id = 0;
  // A step was made.
  bool has_begun = false;
  // There is nothing left.
  bool is_at_end = false;
  // The last one first.
  std::array<Met, kMetMax> met{};
  std::size_t met_count = 0;
};

}  // namespace larder::slab
