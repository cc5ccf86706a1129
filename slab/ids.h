// The numbers that name chunks, slab classes and pages, and the limits that belong to them.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>

namespace larder::slab {

// Names a chunk: the chunk's offset in the arena in units of alignment, plus one. It stays valid
// when the arena is mapped to another address.
using ItemRef = std::uint32_t;
// The reference that names no chunk.
inline constexpr ItemRef kNoItem = 0;

// The number of a slab class, 1 to kClassesMax, as in `stats slabs`. 0 names no class.
using ClassId = std::uint8_t;
inline constexpr std::size_t kClassesMax = 127;
// A set of classes, by id.
using ClassSet = std::bitset<kClassesMax + 1>;

// The longest key in bytes, as in memcached.
inline constexpr std::size_t kKeyBytesMax = 250;

// The number of a page in the arena, from 0.
using PageIndex = std::uint32_t;
// A page has 2^kPageShift bytes.
inline constexpr std::size_t kPageShift = 18;
// 256 KiB.
inline constexpr std::size_t kPageBytes = std::size_t{1} << kPageShift;

}  // namespace larder::slab
