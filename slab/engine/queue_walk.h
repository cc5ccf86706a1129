// A place on the way through the queues of a class.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "slab/ids.h"

namespace larder::slab {

// QueueWalk is a place in a walk over the items of a class, from the newest on probation to the
// oldest in main. See Cache::SnapshotQueue.
//
// It names the last items that were met and holds none. The walk goes on behind the last of them
// that is still queued; it ends where all are gone, as those behind them mostly are then. An item
// that is used meanwhile may be met twice or not at all.
//
// Threads: one worker.
struct QueueWalk {
  // An item that was met. Its key tells whether the chunk has it still.
  struct Met {
    ItemRef ref = kNoItem;
    std::uint8_t key_bytes = 0;
    std::array<char, 255> key_room{};

    std::string_view key() const { return {key_room.data(), key_bytes}; }
  };
  static constexpr std::size_t kMetMax = 4;

  ClassId class_id = 0;
  bool has_begun = false;
  bool is_at_end = false;
  std::array<Met, kMetMax> met{};  // The last one first.
  std::size_t met_count = 0;
};

}  // namespace larder::slab
