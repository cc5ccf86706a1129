#include "slab/memory/resident.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <fstream>
#include <string>
#include <string_view>

#include "slab/check.h"

namespace larder::slab {

std::uint64_t ResidentBytes(const void* base, std::uint64_t bytes) noexcept {
  constexpr std::uint64_t kSystemPageBytes = 4096;
  LARDER_ASSERT(reinterpret_cast<std::uintptr_t>(base) % kSystemPageBytes == 0);
  // The kernel reports a byte for each small page, a limited number at a time.
  std::array<unsigned char, 4096> is_resident;
  constexpr std::uint64_t kAtOnceBytes = is_resident.size() * kSystemPageBytes;
  const auto* const first = static_cast<const std::byte*>(base);
  std::uint64_t pages = 0;
  for (std::uint64_t at = 0; at < bytes; at += kAtOnceBytes) {
    const std::uint64_t here = std::min(kAtOnceBytes, bytes - at);
    void* const begin = const_cast<std::byte*>(first + at);
    // Memory about which the kernel says nothing is not counted.
    if (mincore(begin, here, is_resident.data()) != 0) continue;
    const auto count =
        static_cast<std::ptrdiff_t>((here + kSystemPageBytes - 1) / kSystemPageBytes);
    pages += static_cast<std::uint64_t>(std::count_if(
        is_resident.begin(), is_resident.begin() + count, [](auto flags) { return flags & 1; }));
  }
  return pages * kSystemPageBytes;
}

std::uint64_t MappedBytes(const void* base, std::uint64_t bytes) {
  // For each mapping the file has a line that begins with the addresses "begin-end" in hexadecimal,
  // followed by lines of the form "Name: value".
  constexpr std::string_view kResident = "Rss:";
  const auto first = reinterpret_cast<std::uintptr_t>(base);
  std::ifstream maps("/proc/self/smaps");
  std::uint64_t kilobytes = 0;
  bool is_inside = false;
  for (std::string line; std::getline(maps, line);) {
    const char* const end = line.data() + line.size();
    std::uintptr_t begin = 0;
    const auto parsed = std::from_chars(line.data(), end, begin, 16);
    if (parsed.ptr != end && *parsed.ptr == '-') {
      is_inside = begin >= first && begin - first < bytes;
    } else if (is_inside && line.starts_with(kResident)) {
      std::uint64_t here = 0;
      std::from_chars(line.data() + line.find_first_not_of(' ', kResident.size()), end, here);
      kilobytes += here;
    }
  }
  return kilobytes * 1024;
}

}  // namespace larder::slab
