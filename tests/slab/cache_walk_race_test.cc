// Walks and page moves that meet items of a lane's magazine, in schedules that are forced.
//
// A lane may let go an item that is to leave, and begin another one in its chunk, without locking
// the class that the walk has locked.
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/slab/cache_fixture.h"

namespace larder::slab {
namespace {

constexpr std::uint64_t kWalkedBytes = std::uint64_t{4} << 20;
constexpr std::uint32_t kLongAgoS = 1;
const std::string kWalkedValue(30, 'v');
// With an expiry, as large an item as one of kWalkedValue under the keys used here.
const std::string kExpiringValue(26, 'w');

// A full cache of one class, and a writer: a thread with a lane of its own, held up at moments of
// its first store of a new key, which has to let other items go.
//
// What tells the threads of each other is relaxed: it must not order what they do to the cache, or
// thread sanitizer would see less.
class RaceFixture {
 public:
  RaceFixture()
      : cache_({.memory_bytes = kWalkedBytes, .pause = [this](Moment moment) { At(moment); }}) {
    // On until the items of the first page are gone, and no chunk is in stock: those that go next
    // are the first ones of the second page, which is also the first page that is moved.
    const std::uint64_t in_page = kPageBytes / ChunkBytes();
    int next = 0;
    const auto store = [&](std::uint32_t count) {
      for (std::uint32_t i = 0; i < count; ++i) {
        REQUIRE(cache_.Set(OldKey(next++), kWalkedValue) == StoreStatus::kStored);
      }
    };
    while (cache_.evicted_by_store() < in_page - Magazine::kSlots) store(1);
    store(Magazine::kSlots - 1);
    // The last batch is one of as many items as there are left in the page, and of free chunks.
    const std::uint64_t free = cache_.evicted_by_store() + Magazine::kSlots - in_page;
    for (std::uint64_t i = 1; i <= free; ++i) {
      REQUIRE(cache_.Delete(OldKey(next - static_cast<int>(i))));
    }
    store(Magazine::kSlots);
    next_to_go_ = static_cast<int>(in_page);
  }
  ~RaceFixture() { Join(); }

 private:
  // Tells the first eviction without settling the magazines, as Classes() would.
  class Fixture : public CacheFixture {
   public:
    using CacheFixture::CacheFixture;
    std::uint64_t evicted_by_store() {
      const std::uint64_t stored = lane().total_items.value();
      return stored - lane().items.value();
    }
  };

 public:
  static std::string OldKey(int number) { return "old" + std::to_string(100'000 + number); }

  // Has the writer store a new key until it comes to this moment, and stops it there.
  void StartWriter(Moment stop_at, const std::string& key, std::uint32_t expires_at_s) {
    stop_at_ = stop_at;
    Lane& lane = cache_.NewLane();
    writer_ = std::thread([this, &lane, key, expires_at_s] {
      writer_id_.store(std::this_thread::get_id(), std::memory_order_relaxed);
      const std::string& value = expires_at_s != 0 ? kExpiringValue : kWalkedValue;
      ItemSpec spec = cache_.Spec(key, value.size());
      spec.expiry = ExpiryAt(expires_at_s);
      (void)cache_.cache().Store(StoreMode::kSet, spec, value, 0, lane);
      if (after_store_) after_store_(lane);
      is_done_.store(true, std::memory_order_relaxed);
    });
    Await(has_stopped_);
  }
  // Lets the writer go on, and waits until its store is over, or waits itself for the class.
  void ReleaseWriter() {
    may_go_on_.store(true, std::memory_order_relaxed);
    while (!is_done_.load(std::memory_order_relaxed) &&
           !is_at_class_.load(std::memory_order_relaxed) &&
           !is_in_item_.load(std::memory_order_relaxed)) {
      std::this_thread::yield();
    }
  }
  void Join() {
    may_go_on_.store(true, std::memory_order_relaxed);
    may_leave_item_.store(true, std::memory_order_relaxed);
    if (writer_.joinable()) writer_.join();
  }
  static void Await(const std::atomic<bool>& flag) {
    while (!flag.load(std::memory_order_relaxed)) std::this_thread::yield();
  }

  // The first chunk whose item is to leave: the writer stands before it or has it in its hands.
  PageWalk LeavingChunk() {
    const Arena& arena = cache_.cache().arena();
    const std::uint32_t chunk_bytes = ChunkBytes();
    for (PageWalk at; at.page < arena.touched_pages(); at.LeavePage()) {
      for (; at.chunk < kPageBytes / chunk_bytes; ++at.chunk) {
        const std::byte* chunk = arena.PageAt(at.page) + std::size_t{at.chunk} * chunk_bytes;
        if (arena.At(arena.RefOf(chunk)).use() == ChunkUse::kLeaving) return at;
      }
    }
    FAIL("no item is to leave");
    return {};
  }
  ClassId OnlyClass() {
    return cache_.cache().engine().classes.ladder().ClassFor(Item::OverheadBytes(OldKey(0).size()) +
                                                             kWalkedValue.size());
  }
  std::uint32_t ChunkBytes() {
    return cache_.cache().engine().classes.ladder().chunk_bytes(OnlyClass());
  }
  std::set<std::string> KeysAt(PageWalk walk, Lane& lane) {
    std::array<ItemSnapshot, kWalkChunksMax> items;
    const std::size_t count = cache_.cache().walker().Snapshot(walk, ClassSet().set(), lane, items);
    std::set<std::string> keys;
    for (std::size_t i = 0; i < count; ++i) keys.emplace(items[i].key());
    return keys;
  }

  CacheFixture& cache() { return cache_; }
  // Of the item that is the next to go.
  int next_to_go() const { return next_to_go_; }

 protected:
  // On the thread of the walk.
  std::function<void()> when_listed_;
  std::function<void()> when_page_chosen_;
  std::function<void()> when_item_seen_;
  // On the writer's.
  std::function<void(Lane&)> after_store_;
  std::atomic<bool> is_in_item_{false};
  std::atomic<bool> may_leave_item_{false};

 private:
  void At(Moment moment) {
    const bool is_writer = writer_id_.load(std::memory_order_relaxed) == std::this_thread::get_id();
    if (is_writer && moment == stop_at_) {
      if (has_stopped_.exchange(true, std::memory_order_relaxed)) return;
      Await(may_go_on_);
    } else if (is_writer && moment == Moment::kNoStock) {
      is_at_class_.store(true, std::memory_order_relaxed);
    } else if (!is_writer) {
      const auto& act = moment == Moment::kListed       ? when_listed_
                        : moment == Moment::kPageChosen ? when_page_chosen_
                        : moment == Moment::kItemSeen   ? when_item_seen_
                                                        : nothing_;
      if (act) act();
    }
  }

  const std::function<void()> nothing_;
  int next_to_go_ = 0;
  Moment stop_at_ = Moment::kBatchTaken;
  std::atomic<std::thread::id> writer_id_{};
  std::atomic<bool> has_stopped_{false};
  std::atomic<bool> may_go_on_{false};
  std::atomic<bool> is_done_{false};
  std::atomic<bool> is_at_class_{false};
  Fixture cache_;
  std::thread writer_;
};

TEST_CASE_METHOD(RaceFixture, "a sweep takes no item for one that had its chunk before",
                 "[slab][sweep][walk][concurrency]") {
  // What the writer stores is dead at once, so a sweep that looked at it would free it.
  StartWriter(Moment::kBatchTaken, "new100000", kLongAgoS);
  PageWalk walk = LeavingChunk();
  when_listed_ = [this] { ReleaseWriter(); };
  const SweepTally tally = cache().cache().walker().Sweep(walk, cache().lane());
  CHECK(tally.checked == kWalkChunksMax);
  CHECK(tally.reclaimed == 0);
  CHECK(tally.passed_over == 0);
  Join();
  CHECK(cache().Look("new100000") == Presence::kExpired);
  cache().cache().CheckInvariants();
}

TEST_CASE_METHOD(RaceFixture, "a snapshot shows no item whose lock another thread has",
                 "[slab][snapshot][walk][concurrency]") {
  after_store_ = [this](Lane& lane) {
    cache().cache().Visit(cache().Key("new100000"), lane, [&](Item&) {
      is_in_item_.store(true, std::memory_order_relaxed);
      Await(may_leave_item_);
    });
  };
  StartWriter(Moment::kBatchTaken, "new100000", 0);
  const PageWalk walk = LeavingChunk();
  when_listed_ = [this] { ReleaseWriter(); };
  const auto keys = KeysAt(walk, cache().lane());
  const bool is_held = is_in_item_.load(std::memory_order_relaxed);
  Join();
  CHECK((!is_held || keys.count("new100000") == 0));
  CHECK(keys.size() == kWalkChunksMax);
  cache().cache().CheckInvariants();
}

// Thread sanitizer sees what was wrong here: the key was read while the writer wrote another one.
TEST_CASE_METHOD(RaceFixture, "a page move reads no key that a lane may write over",
                 "[slab][pages][walk][concurrency]") {
  when_page_chosen_ = [&] {
    when_page_chosen_ = nullptr;
    StartWriter(Moment::kBatchTaken, "new100000", 0);
  };
  // The first item that is looked at is the one that is to leave.
  when_item_seen_ = [&] {
    when_item_seen_ = nullptr;
    ReleaseWriter();
  };
  REQUIRE(cache().cache().page_mover().Reassign(OnlyClass(), 0) == ReassignStatus::kStarted);
  cache().cache().BalancePages(cache().lane());
  Join();
  cache().cache().CheckInvariants();
  CHECK(cache().cache().page_mover().pages_moved() == 1);
}

class SpareFixture : public RaceFixture {
 public:
  // The items that are the next to go have a hit that counts.
  SpareFixture() {
    for (int i = 0; i < 2000; ++i) (void)cache().Hit(OldKey(next_to_go() + i));
  }
};

TEST_CASE_METHOD(SpareFixture, "a sweep passes over an item that a lane has in its hands",
                 "[slab][sweep][walk][concurrency]") {
  StartWriter(Moment::kSpared, "new100000", 0);
  PageWalk walk = LeavingChunk();
  const SweepTally tally = cache().cache().walker().Sweep(walk, cache().lane());
  CHECK(tally.checked == kWalkChunksMax - 1);
  CHECK(tally.passed_over == 1);
  CHECK(tally.reclaimed == 0);
  Join();
  PageWalk again;
  CHECK(cache().cache().walker().Sweep(again, cache().lane()).passed_over == 0);
  cache().cache().CheckInvariants();
}

TEST_CASE_METHOD(SpareFixture, "a snapshot waits for an item that a lane has in its hands",
                 "[slab][snapshot][walk][concurrency]") {
  StartWriter(Moment::kSpared, "new100000", 0);
  const PageWalk walk = LeavingChunk();
  std::atomic<bool> is_listed{false};
  when_listed_ = [&] { is_listed.store(true, std::memory_order_relaxed); };
  std::set<std::string> keys;
  Lane& lane = cache().NewLane();
  std::thread walker([&] { keys = KeysAt(walk, lane); });
  Await(is_listed);
  Join();
  walker.join();
  CHECK(keys.size() == kWalkChunksMax);
  cache().cache().CheckInvariants();
}

TEST_CASE_METHOD(SpareFixture, "a page move leaves alone an item that a lane has in its hands",
                 "[slab][pages][walk][concurrency]") {
  PageWalk leaving;
  when_page_chosen_ = [&] {
    StartWriter(Moment::kSpared, "new100000", 0);
    leaving = LeavingChunk();
    when_page_chosen_ = [this] { Join(); };  // The next page, for the first one was busy.
  };
  const std::uint64_t busy = cache().cache().page_mover().stats().busy_pages;
  REQUIRE(cache().cache().page_mover().Reassign(OnlyClass(), 0) == ReassignStatus::kStarted);
  cache().cache().BalancePages(cache().lane());
  CHECK(cache().cache().page_mover().stats().busy_pages > busy);
  CHECK(cache().cache().page_mover().pages_moved() == 1);
  CHECK(leaving.page == 1);
  CHECK(leaving.chunk == 0);
  CHECK(cache().Look(OldKey(next_to_go())) == Presence::kHit);
  cache().cache().CheckInvariants();
}

}  // namespace
}  // namespace larder::slab
