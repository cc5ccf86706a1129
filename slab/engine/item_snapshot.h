// What a dump shows of an item.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "slab/ids.h"

namespace larder::slab {

// A copy, so that nothing has to stay locked while it is written down.
struct ItemSnapshot {
  std::uint64_t cas = 0;
  std::size_t item_bytes = 0;  // As Cache::ItemBytes.
  std::uint32_t value_bytes = 0;
  std::uint32_t expires_at_s = 0;  // Unix time; 0: never.
  std::uint32_t idle_s = 0;
  std::uint32_t client_flags = 0;
  ClassId class_id = 0;
  bool was_fetched = false;
  bool has_binary_key = false;
  std::uint8_t key_bytes = 0;
  std::array<char, 255> key_room;

  std::string_view key() const { return {key_room.data(), key_bytes}; }
};

}  // namespace larder::slab
