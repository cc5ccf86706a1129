// ItemSnapshot: what a dump shows of an item.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "slab/ids.h"

namespace larder::slab {

// ItemSnapshot is a copy of an item's key and metadata, so that nothing has to stay locked while
// they are written out. It does not contain the value.
//
// Threads:    one worker.
struct ItemSnapshot {
  std::uint64_t cas = 0;
  // As Cache::ItemBytes.
  std::size_t item_bytes = 0;
  std::uint32_t value_bytes = 0;
  // Unix time in seconds; 0: never.
  std::uint32_t expires_at_s = 0;
  // Seconds since the last access.
  std::uint32_t idle_s = 0;
  std::uint32_t client_flags = 0;
  ClassId class_id = 0;
  bool was_fetched = false;
  // The client gave the key in base64.
  bool has_binary_key = false;
  std::uint8_t key_bytes = 0;
  // The first key_bytes of it are the key.
  std::array<char, 255> key_room;

  // The key. The view is valid as long as the snapshot.
  std::string_view key() const { return {key_room.data(), key_bytes}; }
};

}  // namespace larder::slab
