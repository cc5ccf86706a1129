// A unit of memory.
#pragma once

#include <cstdint>

namespace larder {

inline constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

}  // namespace larder
