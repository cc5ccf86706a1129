#include "slab/resident.h"

#include <catch2/catch.hpp>

#include "slab/zeroed_array.h"

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

}  // namespace
}  // namespace larder::slab
