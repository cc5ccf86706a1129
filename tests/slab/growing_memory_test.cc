#include "slab/memory/growing_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "slab/memory/memory_warmer.h"
#include "slab/memory/resident.h"
#include "slab/memory/zeroed_array.h"

namespace larder::slab {
namespace {

constexpr std::uint64_t kSmallPage = 4096;
constexpr std::uint64_t kMegabyte = std::uint64_t{1} << 20;
constexpr std::uint64_t kAhead = 2 * kMegabyte;

// 16 MiB, in small pages so that what is resident can be told exactly.
class Mapping {
 public:
  Mapping() : array_(16 * kMegabyte, HugePages::kNo) {
    REQUIRE(array_.ok());
    (void)madvise(data(), bytes(), MADV_NOHUGEPAGE);
  }

  std::byte* data() { return array_.data(); }
  std::uint64_t bytes() const { return array_.bytes(); }
  // Bytes from the front up to the last that the kernel keeps in memory.
  std::uint64_t resident_end() {
    std::vector<unsigned char> resident(bytes() / kSmallPage);
    REQUIRE(mincore(data(), bytes(), resident.data()) == 0);
    const auto last = std::find_if(resident.rbegin(), resident.rend(),
                                   [](unsigned char bits) { return (bits & 1) != 0; });
    return static_cast<std::uint64_t>(resident.rend() - last) * kSmallPage;
  }

 private:
  ZeroedArray<std::byte> array_;
};

// Waits until `condition` holds, for a long time at most: a thread of its own has to see to it.
template <class Condition>
bool Eventually(Condition&& condition) {
  for (int tries = 0; tries < 3000; ++tries) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

TEST_CASE("of memory that nobody uses nothing is touched ahead", "[slab][memory]") {
  Mapping mapping;
  GrowingMemory memory(mapping.data(), mapping.bytes(), kAhead);
  memory.WarmAhead();
  CHECK(mapping.resident_end() == 0);
  memory.Use(1);
  memory.WarmAhead();
  CHECK(mapping.resident_end() >= kAhead);
}

TEST_CASE("memory is touched ahead of its use", "[slab][memory]") {
  Mapping mapping;
  GrowingMemory memory(mapping.data(), mapping.bytes(), kAhead);
  memory.Use(100);
  CHECK(mapping.resident_end() == 0);
  memory.WarmAhead();
  // In steps of huge pages, since that is what they are where it matters.
  CHECK(mapping.resident_end() == 4 * kMegabyte);
  memory.Use(2 * kMegabyte + 1);
  memory.WarmAhead();
  CHECK(mapping.resident_end() == 6 * kMegabyte);
  SECTION("and no further than it may") {
    memory.SetMax(7 * kMegabyte);
    memory.Use(6 * kMegabyte + 1);
    memory.WarmAhead();
    CHECK(mapping.resident_end() == 7 * kMegabyte);
  }
  SECTION("and what is in use is left as it is") {
    std::memset(mapping.data(), 0x5a, 8 * kMegabyte);  // Ahead of the warmer.
    memory.Use(8 * kMegabyte);
    memory.WarmAhead();
    memory.GiveBackSpare();
    CHECK(std::all_of(mapping.data(), mapping.data() + 8 * kMegabyte,
                      [](std::byte byte) { return byte == std::byte{0x5a}; }));
  }
}

TEST_CASE("what was touched in vain goes back, but for one small page", "[slab][memory]") {
  Mapping mapping;
  GrowingMemory memory(mapping.data(), mapping.bytes(), kAhead);
  memory.Use(3 * kSmallPage - 1);
  memory.WarmAhead();
  memory.GiveBackSpare();
  CHECK(mapping.resident_end() == 4 * kSmallPage);
  memory.GiveBackSpare();
  CHECK(mapping.resident_end() == 4 * kSmallPage);
  memory.Use(4 * kSmallPage);
  memory.WarmAhead();
  CHECK(mapping.resident_end() == 4 * kMegabyte);
}

// Has the kernel do now what it does by itself every so often.
bool CollapseToHugePage(std::byte* page) {
  constexpr int kCollapse = 25;  // MADV_COLLAPSE, of Linux 6.1 on; not in Debian 12's headers.
  return madvise(page, kHugePageBytes, kCollapse) == 0;
}

TEST_CASE("what was given back is not filled again by the kernel", "[slab][memory]") {
  ZeroedArray<std::byte> array(16 * kMegabyte, HugePages::kNo);
  REQUIRE(array.ok());
  std::byte* const memory_begin =
      array.data() +
      (kHugePageBytes - reinterpret_cast<std::uintptr_t>(array.data())) % kHugePageBytes;
  const auto resident_bytes = [&] { return ResidentBytes(memory_begin, 8 * kMegabyte); };
  REQUIRE(madvise(memory_begin, 8 * kMegabyte, MADV_HUGEPAGE) == 0);
  memory_begin[4 * kMegabyte] = std::byte{1};
  if (!CollapseToHugePage(memory_begin + 4 * kMegabyte)) {
    WARN("skipped: this kernel makes no huge pages when told to");
    return;
  }
  (void)madvise(memory_begin, 8 * kMegabyte, MADV_DONTNEED);

  GrowingMemory memory(memory_begin, 8 * kMegabyte, kAhead);
  memory.Use(2 * kMegabyte + 3 * kSmallPage);
  memory.WarmAhead();
  memory.GiveBackSpare();
  const std::uint64_t resident = resident_bytes();
  CHECK(resident <= 2 * kMegabyte + 4 * kSmallPage);
  CHECK_FALSE(CollapseToHugePage(memory_begin + 2 * kMegabyte));
  CHECK(resident_bytes() == resident);
  // When growth goes on, it may be a huge page like all others.
  memory.Use(3 * kMegabyte);
  memory.WarmAhead();
  CHECK(CollapseToHugePage(memory_begin + 2 * kMegabyte));
}

TEST_CASE("the warmer runs ahead while memory grows, and gives back when it does not",
          "[slab][memory][concurrency]") {
  Mapping first_mapping;
  Mapping second_mapping;
  GrowingMemory first(first_mapping.data(), first_mapping.bytes(), kAhead);
  GrowingMemory second(second_mapping.data(), second_mapping.bytes(), kAhead);
  const MemoryWarmer warmer({&first, &second});
  CHECK(first_mapping.resident_end() == kSmallPage);  // So that no store waits for a huge page.

  std::thread other([&] {
    for (std::uint64_t bytes = 0; bytes <= 5 * kMegabyte; bytes += kSmallPage) {
      second.Use(bytes + kSmallPage);
      second_mapping.data()[bytes] = std::byte{1};
    }
  });
  first.Use(kSmallPage);
  CHECK(Eventually([&] { return first_mapping.resident_end() == 4 * kMegabyte; }));
  other.join();
  CHECK(Eventually([&] { return first_mapping.resident_end() == 2 * kSmallPage; }));
  CHECK(
      Eventually([&] { return second_mapping.resident_end() == 5 * kMegabyte + 2 * kSmallPage; }));
  for (std::uint64_t bytes = 0; bytes <= 5 * kMegabyte; bytes += kSmallPage) {
    REQUIRE(second_mapping.data()[bytes] == std::byte{1});
  }
}

}  // namespace
}  // namespace larder::slab
