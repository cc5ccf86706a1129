#include "slab/classes/slab_class.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "tests/slab/turns.h"

namespace larder::slab {
namespace {

// One class on an arena of its own, used without other threads.
class ClassUnderTest {
 public:
  ClassUnderTest(std::uint32_t chunk_bytes, std::uint64_t pages_max)
      : arena_(std::move(*Arena::Create({.limit_bytes = pages_max * kPageBytes}))),
        pages_(arena_->capacity_pages()),
        class_(7, chunk_bytes, *arena_, pages_, spare_pages_) {}

  ItemRef Allocate() {
    const MutexLock lock(class_.mutex());
    return class_.Allocate();
  }
  void Free(ItemRef ref) {
    const MutexLock lock(class_.mutex());
    class_.Free(ref);
  }
  bool Drain(PageIndex page) {
    const MutexLock lock(class_.mutex());
    return class_.Drain(page);
  }
  void Readmit(PageIndex page) {
    const MutexLock lock(class_.mutex());
    class_.Readmit(page);
  }
  void Adopt(PageIndex page) {
    const MutexLock lock(class_.mutex());
    class_.Adopt(page);
  }
  std::vector<ItemRef> AllocateAll() {
    std::vector<ItemRef> refs;
    for (ItemRef ref = Allocate(); ref != kNoItem; ref = Allocate()) refs.push_back(ref);
    return refs;
  }
  std::uint32_t page_count() {
    const MutexLock lock(class_.mutex());
    return class_.page_count();
  }
  std::uint64_t used_chunks() {
    const MutexLock lock(class_.mutex());
    return class_.used_chunks();
  }
  Arena& arena() { return *arena_; }
  PageTable& pages() { return pages_; }
  SparePages& spare_pages() { return spare_pages_; }
  SlabClass& slab_class() { return class_; }

 private:
  std::unique_ptr<Arena> arena_;
  PageTable pages_;
  SparePages spare_pages_;
  SlabClass class_;
};

TEST_CASE("a class fills its pages with chunks to the last that fits", "[slab][slab_class]") {
  const std::uint32_t chunk_bytes = GENERATE(48U, 56U, 1000U, 87'376U, 131'072U);
  CAPTURE(chunk_bytes);
  ClassUnderTest chunks(chunk_bytes, 3);
  const auto refs = chunks.AllocateAll();
  CHECK(refs.size() == 3 * (kPageBytes / chunk_bytes));
  CHECK(chunks.used_chunks() == refs.size());
  CHECK(chunks.page_count() == 3);
}

TEST_CASE("a new chunk is owned once and lies in a page of its class", "[slab][slab_class]") {
  ClassUnderTest chunks(64, 1);
  const ItemRef ref = chunks.Allocate();
  REQUIRE(ref != kNoItem);
  const Item& item = chunks.arena().At(ref);
  CHECK(item.use() == ChunkUse::kOwned);
  CHECK(item.refs.load() == 1);
  CHECK(chunks.pages().class_of(chunks.arena().PageOf(ref)) == 7);
}

// Live chunks by address, each filled with bytes of its own from behind the header to its end.
class LiveChunks {
 public:
  LiveChunks(Arena& arena, std::uint32_t chunk_bytes) : arena_(arena), chunk_bytes_(chunk_bytes) {}

  // False if the chunk lies over another.
  bool Add(ItemRef ref) {
    std::byte* begin = Begin(ref);
    const auto after = live_.lower_bound(begin);
    const bool is_clear_after = after == live_.end() || begin + chunk_bytes_ <= after->first;
    const bool is_clear_before =
        after == live_.begin() || std::prev(after)->first + chunk_bytes_ <= begin;
    const std::uint8_t fill = next_fill_++;
    std::memset(Payload(ref), fill, PayloadBytes());
    live_[begin] = {ref, fill};
    return is_clear_after && is_clear_before;
  }
  // The chunk at a place chosen by `choice`, or kNoItem if its bytes have changed.
  ItemRef Remove(std::size_t choice) {
    const auto it = std::next(live_.begin(), static_cast<std::ptrdiff_t>(choice % live_.size()));
    const auto [ref, fill] = it->second;
    live_.erase(it);
    const std::byte* payload = Payload(ref);
    const bool is_intact =
        payload[0] == std::byte{fill} && std::memcmp(payload, payload + 1, PayloadBytes() - 1) == 0;
    return is_intact ? ref : kNoItem;
  }
  std::size_t size() const { return live_.size(); }
  std::set<PageIndex> Pages() const {
    std::set<PageIndex> pages;
    for (const auto& [begin, chunk] : live_) pages.insert(arena_.PageOf(chunk.first));
    return pages;
  }

 private:
  std::byte* Begin(ItemRef ref) const { return reinterpret_cast<std::byte*>(&arena_.At(ref)); }
  std::byte* Payload(ItemRef ref) const { return arena_.At(ref).payload(); }
  std::size_t PayloadBytes() const { return chunk_bytes_ - sizeof(Item); }

  Arena& arena_;
  const std::uint32_t chunk_bytes_;
  std::uint8_t next_fill_ = 1;
  std::map<std::byte*, std::pair<ItemRef, std::uint8_t>> live_;
};

TEST_CASE("no two live chunks overlap", "[slab][slab_class][property]") {
  const std::uint32_t chunk_bytes = GENERATE(64U, 2000U, 20'000U, 131'072U);
  const unsigned seed = GENERATE(1U, 2U);
  CAPTURE(chunk_bytes, seed);
  std::mt19937 random(seed);
  ClassUnderTest chunks(chunk_bytes, 4);
  LiveChunks live(chunks.arena(), chunk_bytes);
  const std::size_t chunks_max = std::min<std::size_t>(500, 4 * (kPageBytes / chunk_bytes));
  for (int turn = 0; turn < Turns(3000); ++turn) {
    // First towards full, then towards empty, and so on.
    const bool grows = random() % 100 < (turn / Turns(500) % 2 == 0 ? 65 : 35);
    if (grows && live.size() < chunks_max) {
      const ItemRef ref = chunks.Allocate();
      REQUIRE(ref != kNoItem);
      REQUIRE(live.Add(ref));
    } else if (live.size() > 0) {
      const ItemRef ref = live.Remove(random());
      REQUIRE(ref != kNoItem);
      chunks.Free(ref);
    }
    if (chunks.used_chunks() != live.size()) FAIL("used chunks are miscounted");
  }
}

TEST_CASE("a page without used chunks leaves at once when drained", "[slab][slab_class]") {
  ClassUnderTest chunks(64, 2);
  const ItemRef ref = chunks.Allocate();
  const PageIndex page = chunks.arena().PageOf(ref);
  chunks.Free(ref);
  CHECK(chunks.page_count() == 1);
  CHECK(chunks.Drain(page));
  CHECK(chunks.page_count() == 0);
  CHECK(chunks.pages().class_of(page) == 0);
  CHECK(chunks.arena().pages_in_use() == 1);  // It is the drainer's now.
}

TEST_CASE("a draining page gives out no chunk and leaves with its last one", "[slab][slab_class]") {
  ClassUnderTest chunks(20'000, 3);
  const auto refs = chunks.AllocateAll();
  const PageIndex draining = chunks.arena().PageOf(refs[0]);
  CHECK_FALSE(chunks.Drain(draining));
  std::vector<ItemRef> others;
  std::size_t left = 0;
  for (const ItemRef ref : refs) {
    if (chunks.arena().PageOf(ref) == draining) ++left;
  }
  for (const ItemRef ref : refs) {
    if (chunks.arena().PageOf(ref) != draining) continue;
    CHECK(chunks.Allocate() == kNoItem);  // Room there is, but not for the taking.
    CHECK(chunks.arena().pages_in_use() == 3);
    chunks.Free(ref);
    --left;
    CHECK(chunks.page_count() == (left == 0 ? 2 : 3));
  }
  CHECK(chunks.arena().pages_in_use() == 3);
  CHECK(chunks.Allocate() == kNoItem);
  chunks.Adopt(draining);
  CHECK(chunks.page_count() == 3);
  CHECK(chunks.arena().PageOf(chunks.Allocate()) == draining);
}

TEST_CASE("a readmitted page gives out its chunks again", "[slab][slab_class]") {
  const bool is_full = GENERATE(true, false);
  ClassUnderTest chunks(100'000, 1);
  const ItemRef first = chunks.Allocate();
  const ItemRef second = chunks.Allocate();
  if (!is_full) chunks.Free(first);
  const PageIndex page = chunks.arena().PageOf(second);
  CHECK_FALSE(chunks.Drain(page));
  chunks.Readmit(page);
  if (is_full) chunks.Free(first);
  CHECK(chunks.Allocate() == first);
  CHECK(chunks.Allocate() == kNoItem);
  chunks.Free(second);
  CHECK(chunks.page_count() == 1);
}

TEST_CASE("pages drain and come back while chunks come and go", "[slab][slab_class][property]") {
  const unsigned seed = GENERATE(1U, 2U, 3U);
  CAPTURE(seed);
  std::mt19937 random(seed);
  ClassUnderTest chunks(30'000, 6);
  LiveChunks live(chunks.arena(), 30'000);
  std::set<PageIndex> draining;
  for (int turn = 0; turn < Turns(5000); ++turn) {
    const auto choice = random() % 100;
    if (choice < 50) {
      const ItemRef ref = chunks.Allocate();
      if (ref == kNoItem) continue;
      REQUIRE(live.Add(ref));
      REQUIRE_FALSE(draining.contains(chunks.arena().PageOf(ref)));
    } else if (choice < 95 && live.size() > 0) {
      const ItemRef ref = live.Remove(random());
      REQUIRE(ref != kNoItem);
      chunks.Free(ref);
    } else {
      const auto page = static_cast<PageIndex>(random() % 6);
      if (chunks.pages().class_of(page) != 7 || draining.contains(page)) continue;
      const bool is_empty = !live.Pages().contains(page);
      REQUIRE(chunks.Drain(page) == is_empty);
      draining.insert(page);
    }
    const auto used_pages = live.Pages();
    std::erase_if(draining, [&](PageIndex page) {
      if (used_pages.contains(page)) return false;
      chunks.arena().Return(page);
      return true;
    });
    REQUIRE(chunks.page_count() == chunks.arena().pages_in_use());
  }
  while (live.size() > 0) chunks.Free(live.Remove(0));
  for (const PageIndex page : draining) chunks.arena().Return(page);
  for (PageIndex page = 0; page < 6; ++page) {
    if (chunks.pages().class_of(page) != 7) continue;
    CHECK(chunks.Drain(page));
    chunks.arena().Return(page);
  }
  CHECK(chunks.page_count() == 0);
  CHECK(chunks.used_chunks() == 0);
  CHECK(chunks.arena().pages_in_use() == 0);
}

TEST_CASE("a class offers a page while its free chunks would fill one, beside those of magazines",
          "[slab][slab_class]") {
  ClassUnderTest chunks(1000, 3);
  const std::size_t per_page = kPageBytes / 1000;
  auto refs = chunks.AllocateAll();
  CHECK_FALSE(chunks.spare_pages().any());
  // One from each page in turn, so that no page becomes empty. Two pages are left in use, for which
  // magazines may hold two chunks.
  for (std::size_t freed = 0; freed < per_page + 2; ++freed) {
    CHECK_FALSE(chunks.spare_pages().any());
    chunks.Free(refs[freed % 3 * per_page + freed / 3]);
  }
  CHECK(chunks.page_count() == 3);
  CHECK(chunks.spare_pages().any());
  chunks.spare_pages().Suspend();
  CHECK_FALSE(chunks.spare_pages().any());
  chunks.spare_pages().Resume();
  CHECK(chunks.spare_pages().any());
  REQUIRE(chunks.Allocate() != kNoItem);
  CHECK_FALSE(chunks.spare_pages().any());
}

TEST_CASE("two classes take pages from one arena, and a page from one to the other",
          "[slab][slab_class]") {
  ClassUnderTest small(64, 1);
  SlabClass large(9, 100'000, small.arena(), small.pages(), small.spare_pages());
  const ItemRef ref = small.Allocate();
  const MutexLock lock(large.mutex());
  CHECK(large.Allocate() == kNoItem);
  const PageIndex page = small.arena().PageOf(ref);
  CHECK_FALSE(small.Drain(page));
  small.Free(ref);
  large.Adopt(page);
  const ItemRef moved = large.Allocate();
  REQUIRE(moved != kNoItem);
  CHECK(small.arena().PageOf(moved) == page);
  CHECK(small.pages().class_of(page) == 9);
  CHECK(small.page_count() == 0);
}

}  // namespace
}  // namespace larder::slab
