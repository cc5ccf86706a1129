#include "slab/memory/arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstring>
#include <memory>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "tests/sanitizers.h"

namespace larder::slab {
namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

std::unique_ptr<Arena> MakeArena(std::uint64_t limit_bytes, bool lock_memory = false) {
  auto arena = Arena::Create({.limit_bytes = limit_bytes, .lock_memory = lock_memory});
  REQUIRE(arena);
  return std::move(*arena);
}

std::vector<PageIndex> TakeAll(Arena& arena) {
  std::vector<PageIndex> pages;
  while (const auto page = arena.Take()) pages.push_back(*page);
  return pages;
}

// Bytes of the page that the kernel keeps in memory.
std::size_t PageResidentBytes(const Arena& arena, PageIndex page) {
  const auto granule = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> resident(kPageBytes / granule);
  REQUIRE(mincore(arena.PageAt(page), kPageBytes, resident.data()) == 0);
  return granule * static_cast<std::size_t>(std::ranges::count_if(
                       resident, [](unsigned char bits) { return (bits & 1) != 0; }));
}

TEST_CASE("an arena hands out as many pages as its limit holds", "[slab][arena]") {
  const auto arena = MakeArena(4 * kPageBytes + kPageBytes / 2);
  CHECK(arena->limit_pages() == 4);
  const auto pages = TakeAll(*arena);
  CHECK(std::set(pages.begin(), pages.end()).size() == 4);
  CHECK(arena->pages_in_use() == 4);
  CHECK(arena->touched_pages() == 4);

  arena->Return(pages[2]);
  CHECK(arena->pages_in_use() == 3);
  CHECK(arena->Take() == pages[2]);
  CHECK_FALSE(arena->Take().has_value());
  CHECK(arena->touched_pages() == 4);
}

TEST_CASE("pages are writable throughout and do not overlap", "[slab][arena]") {
  const auto arena = MakeArena(8 * kPageBytes);
  const auto pages = TakeAll(*arena);
  for (const PageIndex page : pages) {
    std::memset(arena->PageAt(page), static_cast<int>(page) + 1, kPageBytes);
  }
  for (const PageIndex page : pages) {
    const auto* bytes = arena->PageAt(page);
    const auto own = static_cast<std::byte>(page + 1);
    CHECK(std::all_of(bytes, bytes + kPageBytes, [own](std::byte b) { return b == own; }));
  }
}

TEST_CASE("a reference names its chunk and page", "[slab][arena]") {
  const std::uint64_t limit_bytes = kGiB * GENERATE(1U, 32U, 100U);
  CAPTURE(limit_bytes);
  const auto arena = MakeArena(limit_bytes);
  const std::size_t unit = arena->unit_bytes();
  const PageIndex last = arena->limit_pages() - 1;
  std::set<ItemRef> refs;
  for (const PageIndex page : {PageIndex{0}, PageIndex{1}, last / 2, last}) {
    for (const std::size_t offset : {std::size_t{0}, unit, 5 * unit, kPageBytes - unit}) {
      const std::byte* chunk = arena->PageAt(page) + offset;
      const ItemRef ref = arena->RefOf(chunk);
      CHECK(ref != kNoItem);
      CHECK(reinterpret_cast<const std::byte*>(&arena->At(ref)) == chunk);
      CHECK(arena->PageOf(ref) == page);
      refs.insert(ref);
    }
  }
  CHECK(refs.size() == 16);
}

TEST_CASE("the unit grows with the limit, so that references fit 32 bits", "[slab][arena]") {
  CHECK(MakeArena(kPageBytes)->unit_bytes() == 4);
  CHECK(MakeArena(16 * kGiB - kPageBytes)->unit_bytes() == 4);
  CHECK(MakeArena(16 * kGiB)->unit_bytes() == 8);
  CHECK(MakeArena(32 * kGiB)->unit_bytes() == 16);
  CHECK(MakeArena(65 * kGiB)->unit_bytes() == 32);
}

TEST_CASE("a raised limit gives more pages at once", "[slab][arena]") {
  const auto arena = MakeArena(2 * kPageBytes);
  CHECK(TakeAll(*arena).size() == 2);
  REQUIRE(arena->SetLimit(5 * kPageBytes));
  CHECK(arena->limit_bytes() == 5 * kPageBytes);
  const auto more = TakeAll(*arena);
  CHECK(more.size() == 3);
  for (const PageIndex page : more) std::memset(arena->PageAt(page), 1, kPageBytes);
}

TEST_CASE("a limit below a page or beyond the reserved range is refused", "[slab][arena]") {
  const auto arena = MakeArena(2 * kPageBytes);
  CHECK_FALSE(arena->SetLimit(kPageBytes - 1));
  CHECK_FALSE(arena->SetLimit((std::uint64_t{arena->capacity_pages()} + 1) << kPageShift));
  CHECK_FALSE(arena->SetLimit(~std::uint64_t{0}));
  CHECK(arena->limit_bytes() == 2 * kPageBytes);
  CHECK(arena->SetLimit(std::uint64_t{arena->capacity_pages()} << kPageShift));
}

TEST_CASE("a lowered limit takes no page away, but gives none until it is met", "[slab][arena]") {
  const auto arena = MakeArena(4 * kPageBytes);
  const auto pages = TakeAll(*arena);
  std::memset(arena->PageAt(pages[3]), 7, kPageBytes);
  REQUIRE(arena->SetLimit(2 * kPageBytes));
  CHECK(arena->PageAt(pages[3])[0] == std::byte{7});
  CHECK(arena->pages_in_use() == 4);
  arena->Return(pages[0]);
  arena->Return(pages[1]);
  CHECK_FALSE(arena->Take().has_value());
  arena->Return(pages[2]);
  CHECK(arena->Take() == pages[2]);
}

TEST_CASE("a page above the limit goes back to the kernel", "[slab][arena]") {
  const auto arena = MakeArena(4 * kPageBytes);
  const auto pages = TakeAll(*arena);
  for (const PageIndex page : pages) std::memset(arena->PageAt(page), 7, kPageBytes);
  REQUIRE(arena->SetLimit(3 * kPageBytes));
  arena->Return(pages[1]);
  CHECK(PageResidentBytes(*arena, pages[1]) == 0);
  arena->Return(pages[2]);
  CHECK(PageResidentBytes(*arena, pages[2]) == kPageBytes);  // Within the limit: kept for the next.
}

TEST_CASE("pages that were returned before the limit fell go back to the kernel too",
          "[slab][arena]") {
  const auto arena = MakeArena(4 * kPageBytes);
  const auto pages = TakeAll(*arena);
  for (const PageIndex page : pages) std::memset(arena->PageAt(page), 7, kPageBytes);
  arena->Return(pages[0]);
  arena->Return(pages[1]);
  REQUIRE(arena->SetLimit(2 * kPageBytes));
  std::size_t resident_bytes = 0;
  for (const PageIndex page : pages) resident_bytes += PageResidentBytes(*arena, page);
  CHECK(resident_bytes <= 2 * kPageBytes);
}

TEST_CASE("locked memory goes back to the kernel when the limit falls", "[slab][arena]") {
  // Sanitizers turn mlock and munlock into nothing.
  if (kHasAddressSanitizer || kHasThreadSanitizer) return;
  const auto arena = MakeArena(4 * kPageBytes, true);
  const auto pages = TakeAll(*arena);
  for (const PageIndex page : pages) std::memset(arena->PageAt(page), 7, kPageBytes);
  REQUIRE(arena->SetLimit(3 * kPageBytes));
  arena->Return(pages[1]);
  CHECK(PageResidentBytes(*arena, pages[1]) == 0);
}

TEST_CASE("an arena takes all its memory at once if told to", "[slab][arena]") {
  const bool prefault = GENERATE(false, true);
  auto arena = Arena::Create({.limit_bytes = 4 * kPageBytes, .prefault = prefault});
  REQUIRE(arena);
  for (const PageIndex page : TakeAll(**arena)) {
    CHECK(PageResidentBytes(**arena, page) == (prefault ? kPageBytes : 0));
  }
}

TEST_CASE("threads never share a page", "[slab][arena][concurrency]") {
  const auto arena = MakeArena(64 * kPageBytes);
  std::vector<int> owners(64, 0);  // Written by the owner of the page only.
  std::atomic<int> collisions{0};
  const auto take_and_return = [&](int self) {
    for (int turn = 0; turn < 2000; ++turn) {
      const auto page = arena->Take();
      if (!page) continue;
      if (std::exchange(owners[*page], self) != 0) ++collisions;
      if (std::exchange(owners[*page], 0) != self) ++collisions;
      arena->Return(*page);
    }
  };
  std::thread other(take_and_return, 1);
  take_and_return(2);
  other.join();
  CHECK(collisions == 0);
  CHECK(arena->pages_in_use() == 0);
}

}  // namespace
}  // namespace larder::slab
