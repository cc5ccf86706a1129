#include "slab/memory/resident.h"

#include <sys/mman.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <string>

#include "slab/memory/zeroed_array.h"

namespace larder::slab {
namespace {

TEST_CASE("memory counts once it was written to", "[slab][resident]") {
  constexpr std::uint64_t kBytes = std::uint64_t{64} << 20;
  const ZeroedArray<char> memory(kBytes, HugePages::kNo);
  REQUIRE(memory.ok());
  (void)madvise(memory.data(), memory.bytes(), MADV_NOHUGEPAGE);
  CHECK(ResidentBytes(memory.data(), kBytes) == 0);
  memory[0] = 1;
  memory[4095] = 1;
  CHECK(ResidentBytes(memory.data(), kBytes) == 4096);
  CHECK(ResidentBytes(memory.data(), 1) == 4096);
  CHECK(ResidentBytes(memory.data(), 0) == 0);
  memory[kBytes - 1] = 1;
  memory[20'000'000] = 1;
  CHECK(ResidentBytes(memory.data(), kBytes) == 3 * 4096);
  CHECK(ResidentBytes(memory.data() + 4096, kBytes - 2 * 4096) == 4096);
  memory.PrefaultFirst(kBytes);
  CHECK(ResidentBytes(memory.data(), kBytes) == kBytes);
}

TEST_CASE("of a file only what the process has touched is mapped", "[slab][resident]") {
  constexpr std::size_t kFileBytes = std::size_t{1} << 20;
  const int fd = memfd_create("items", MFD_CLOEXEC);
  REQUIRE(fd >= 0);
  const std::string contents(kFileBytes, 'x');
  REQUIRE(pwrite(fd, contents.data(), contents.size(), 0) == ssize_t{kFileBytes});
  void* const mapped = mmap(nullptr, kFileBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  REQUIRE(mapped != MAP_FAILED);
  (void)madvise(mapped, kFileBytes, MADV_NOHUGEPAGE);
  CHECK(ResidentBytes(mapped, kFileBytes) == kFileBytes);
  CHECK(MappedBytes(mapped, kFileBytes) == 0);
  *static_cast<volatile char*>(mapped) = 'y';
  CHECK(MappedBytes(mapped, kFileBytes) >= 4096);
  CHECK(MappedBytes(mapped, kFileBytes) < kFileBytes / 2);
  std::memset(mapped, 'z', kFileBytes);
  CHECK(MappedBytes(mapped, kFileBytes) == kFileBytes);
  munmap(mapped, kFileBytes);
  close(fd);
}

}  // namespace
}  // namespace larder::slab
