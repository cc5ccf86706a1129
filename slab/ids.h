// The numbers by which chunks, slab classes and pages are named.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>

namespace larder::slab {

// Names a chunk: its offset in the arena in alignment units, plus one. 0 names none. Stays valid
// when the arena is mapped elsewhere.
using ItemRef = std::uint32_t;
inline constexpr ItemRef kNoItem = 0;

// Class ids are 1..kClassesMax, as in `stats slabs`; 0 names no class.
using ClassId = std::uint8_t;
inline constexpr std::size_t kClassesMax = 127;
// Classes, by id.
using ClassSet = std::bitset<kClassesMax + 1>;

// memcached's limit: no item has a longer key.
inline constexpr std::size_t kKeyBytesMax = 250;

// The number of a page in the arena.
using PageIndex = std::uint32_t;
inline constexpr std::size_t kPageShift = 18;
inline constexpr std::size_t kPageBytes = std::size_t{1} << kPageShift;  // 256 KiB

}  // namespace larder::slab
