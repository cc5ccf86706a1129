#include "slab/resident.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstddef>

namespace larder::slab {

std::uint64_t ResidentBytes(const void* base, std::uint64_t bytes) noexcept {
  constexpr std::uint64_t kSystemPageBytes = 4096;
  std::array<unsigned char, 4096> is_resident;
  constexpr std::uint64_t kAtOnceBytes = is_resident.size() * kSystemPageBytes;
  const auto* const first = static_cast<const std::byte*>(base);
  std::uint64_t pages = 0;
  for (std::uint64_t at = 0; at < bytes; at += kAtOnceBytes) {
    const std::uint64_t here = std::min(kAtOnceBytes, bytes - at);
    void* const begin = const_cast<std::byte*>(first + at);
    if (mincore(begin, here, is_resident.data()) != 0) continue;
    const auto count =
        static_cast<std::ptrdiff_t>((here + kSystemPageBytes - 1) / kSystemPageBytes);
    pages += static_cast<std::uint64_t>(std::count_if(
        is_resident.begin(), is_resident.begin() + count, [](auto flags) { return flags & 1; }));
  }
  return pages * kSystemPageBytes;
}

}  // namespace larder::slab
