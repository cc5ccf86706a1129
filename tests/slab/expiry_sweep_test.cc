#include "slab/expiry_sweep.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <string>

#include "tests/mebibyte.h"
#include "tests/slab/cache_fixture.h"

namespace larder::slab {
namespace {

using std::chrono::microseconds;

// A sweep whose thread and clock are the test's.
class SweepFixture : public CacheFixture {
 public:
  ExpirySweep sweep{cache()};

  microseconds Slice(microseconds later = ExpirySweep::kPauseMax) {
    now_ += later;
    return sweep.Slice(now_, lane());
  }
  // As many as a pass takes, and a second passes: the next may begin.
  void Pass() {
    do {
      Slice();
    } while (sweep.is_running());
    ++lane().now_s;
  }
  void SetMany(int count, std::uint32_t expires_at_s) {
    for (int i = 0; i < count; ++i) {
      (void)Store({.key = "k" + std::to_string(i), .value = "v", .expires_at_s = expires_at_s});
      if (expires_at_s != 0) lane().expiries.Add();  // As the server's commands do.
    }
  }
  std::uint64_t checked() {
    std::uint64_t checked = 0;
    for (const ClassSnapshot& snapshot : cache().census().CleanAndDescribeClasses(lane())) {
      checked += snapshot.stats.crawler_items_checked;
    }
    return checked;
  }

 private:
  ExpirySweep::Clock::time_point now_{};
};

TEST_CASE_METHOD(SweepFixture, "passes free what expires", "[slab][sweep]") {
  SetMany(5000, kStartS + 3);
  Pass();
  CHECK(items() == 5000);
  Pass();
  Pass();
  Pass();
  CHECK(items() == 0);
  CHECK(sweep.passes_begun() == 4);
}

TEST_CASE_METHOD(SweepFixture, "there is one pass a second at most", "[slab][sweep]") {
  SetMany(10, kStartS + 100);
  for (int i = 0; i < 20; ++i) Slice();
  CHECK(sweep.passes_begun() == 1);
  ++lane().now_s;
  for (int i = 0; i < 20; ++i) Slice();
  CHECK(sweep.passes_begun() == 2);
}

TEST_CASE_METHOD(SweepFixture, "a slice is bounded", "[slab][sweep]") {
  SetMany(10'000, kStartS + 100);
  Slice();
  CHECK(checked() == ExpirySweep::kSliceChunks);
  CHECK(sweep.is_running());
  // However long the pause was.
  Slice(std::chrono::seconds(100));
  CHECK(checked() <= ExpirySweep::kSliceChunks + ExpirySweep::kSliceChunksMax + kWalkChunksMax);
  sweep.set_slice_max(100);
  const std::uint64_t before = checked();
  Slice();
  CHECK(checked() - before <= 100 + kWalkChunksMax);
  CHECK(checked() - before >= 100);
}

TEST_CASE_METHOD(SweepFixture, "what never expires is left alone after a pass", "[slab][sweep]") {
  SetMany(1000, 0);
  for (int i = 0; i < 20; ++i) Pass();
  CHECK(sweep.passes_begun() == 1);
  SetMany(1, kStartS + 60);
  for (int i = 0; i < 5; ++i) Pass();
  CHECK(sweep.passes_begun() == 6);  // There is something to wait for.
}

TEST_CASE_METHOD(SweepFixture, "when the last item with an expiry is gone, two passes make sure",
                 "[slab][sweep]") {
  SetMany(1000, kStartS);
  Pass();
  CHECK(items() == 0);
  for (int i = 0; i < 20; ++i) Pass();
  CHECK(sweep.passes_begun() == 2);
}

TEST_CASE_METHOD(SweepFixture, "a flush has the sweep begin again", "[slab][sweep]") {
  SetMany(1000, 0);
  for (int i = 0; i < 5; ++i) Pass();
  REQUIRE(sweep.passes_begun() == 1);
  cache().FlushAll();
  Pass();
  CHECK(items() == 0);
}

TEST_CASE_METHOD(SweepFixture, "what a flush leaves is freed at full speed", "[slab][sweep]") {
  constexpr int kItems = 40'000;
  SetMany(kItems, 0);
  // A pass is under way that takes its time.
  Slice();
  REQUIRE(sweep.is_running());
  cache().FlushAll();
  microseconds taken{0};
  for (microseconds pause{0}; items() != 0 && taken < std::chrono::seconds(5); taken += pause) {
    pause = Slice(pause);
  }
  CHECK(items() == 0);
  // Twice the time that the highest speed allows, for chunks without an item.
  CHECK(taken <= microseconds(2'000'000ull * kItems / ExpirySweep::kChunksPerSecondMax));
  // Then it takes its time again.
  while (sweep.is_running()) Slice();
  ++lane().now_s;
  SetMany(kItems, kStartS + 1000);
  Slice();
  CHECK(Slice() > std::chrono::milliseconds(20));
}

TEST_CASE_METHOD(SweepFixture, "flushes in a row do not keep the sweep at the front",
                 "[slab][sweep]") {
  SetMany(20'000, 0);
  for (int i = 0; i < 20 && items() != 0; ++i) {
    cache().FlushAll();
    Slice();
  }
  CHECK(items() == 0);
}

TEST_CASE_METHOD(SweepFixture, "an expiry of which nobody told is found in the end",
                 "[slab][sweep]") {
  SetMany(10, 0);
  for (int i = 0; i < 5; ++i) Pass();
  Touch("k3", lane().now_s);
  Pass();
  CHECK(items() == 10);
  lane().now_s += ExpirySweep::kSettledPassS;
  Pass();
  CHECK(items() == 9);
}

TEST_CASE_METHOD(SweepFixture, "an upload's expiry counts when it is stored", "[slab][sweep]") {
  SetMany(10, 0);
  for (int i = 0; i < 5; ++i) Pass();
  REQUIRE(ReserveAndPublish({.key = "late", .value = "v", .expires_at_s = lane().now_s + 1}) ==
          StoreStatus::kStored);
  Pass();
  Pass();
  CHECK(items() == 10);
}

TEST_CASE_METHOD(SweepFixture, "a pinned item keeps the passes going", "[slab][sweep]") {
  SetMany(1, kStartS + 1);
  Pinned pinned = Pin("k0");
  for (int i = 0; i < 6; ++i) Pass();
  CHECK(sweep.passes_begun() == 6);
  CHECK(items() == 1);
  pinned.handle = ItemHandle();
  Pass();
  CHECK(items() == 0);
}

TEST_CASE_METHOD(SweepFixture, "a pass can be asked for, one at a time", "[slab][sweep]") {
  SetMany(3000, 0);
  for (int i = 0; i < 5; ++i) Pass();
  REQUIRE(sweep.passes_begun() == 1);
  CHECK(sweep.RequestPass());
  CHECK_FALSE(sweep.RequestPass());
  Slice();
  CHECK(sweep.is_running());
  CHECK_FALSE(sweep.RequestPass());
  Pass();
  CHECK(sweep.passes_begun() == 2);
  CHECK(sweep.RequestPass());
}

TEST_CASE_METHOD(SweepFixture, "who asks in the middle of a pass gets a whole one",
                 "[slab][sweep]") {
  SetMany(3000, 0);
  Slice();
  REQUIRE(sweep.is_running());
  CHECK(sweep.RequestPass());
  Pass();
  CHECK_FALSE(sweep.RequestPass());
  Pass();
  CHECK(sweep.passes_begun() == 2);
  CHECK(sweep.RequestPass());
}

TEST_CASE_METHOD(SweepFixture, "a sweep that is off frees nothing", "[slab][sweep]") {
  SetMany(10, kStartS + 1);
  CHECK_FALSE(sweep.Enable());
  sweep.Disable();
  CHECK(sweep.RequestPass());
  lane().now_s += 10;
  Pass();
  CHECK(items() == 10);
  CHECK(sweep.passes_begun() == 0);
  CHECK(sweep.RequestPass());  // The first was dropped.
  CHECK(sweep.Enable());
  Pass();
  CHECK(items() == 0);
}

TEST_CASE_METHOD(SweepFixture, "small caches are swept with long pauses, and never without",
                 "[slab][sweep]") {
  SetMany(5000, kStartS + 100);
  sweep.set_pause_min_us(0);
  CHECK(Slice() == ExpirySweep::kPauseMax);
  CHECK(sweep.is_running());
}

TEST_CASE("a pass gets no slower for what it frees", "[slab][sweep]") {
  CacheFixture cache({.memory_bytes = std::uint64_t{256} << 20});
  ExpirySweep sweep(cache.cache());
  constexpr std::uint32_t kItems = 800'000;
  for (std::uint32_t i = 0; i < kItems; ++i) {
    (void)cache.Store(
        {.key = std::to_string(i), .value = "v", .expires_at_s = CacheFixture::kStartS});
  }
  // The least of some slices: where the machine is busy, single ones are followed by longer pauses.
  ExpirySweep::Clock::time_point now{};
  const auto pause_in = [&](std::uint64_t left_min) {
    auto least = ExpirySweep::kPauseMax;
    do {
      least = std::min(least, sweep.Slice(now, cache.lane()));
      now += least;
    } while (sweep.is_running() && cache.items() > left_min);
    return least;
  };
  const auto first = pause_in(kItems / 10 * 9);
  (void)pause_in(kItems / 10);
  CHECK(pause_in(0) <= first);
  CHECK(cache.items() == 0);
}

TEST_CASE("the more items, the shorter the pause, down to a bound", "[slab][sweep]") {
  CacheFixture small;
  ExpirySweep sweep(small.cache());
  small.lane().now_s = CacheFixture::kStartS;
  // As if there were so many: of the items only the number counts.
  const auto pause_of = [&](std::uint64_t items) {
    small.lane().items.Add(items);
    (void)sweep.RequestPass();
    const auto pause = sweep.Slice(ExpirySweep::Clock::time_point{}, small.lane());
    small.lane().items.Subtract(items);
    return pause;
  };
  constexpr std::uint64_t kMillion = 1'000'000;
  CHECK(pause_of(kMillion / 10) == ExpirySweep::kPauseMax);
  const auto ten = pause_of(10 * kMillion);
  CHECK(pause_of(5 * kMillion) / 2 == ten);
  // 10 million in a pass of 25 seconds, and twice that on a busy machine.
  CHECK(10 * kMillion / ExpirySweep::kSliceChunks * ten <= std::chrono::seconds(26));
  CHECK(pause_of(1000 * kMillion) >= microseconds(2000));
}

TEST_CASE("while memory is full, passes are short, and shorter while they free much",
          "[slab][sweep]") {
  CacheFixture cache({.memory_bytes = 4 * kMiB});
  ExpirySweep sweep(cache.cache());
  sweep.set_slice_max(kWalkChunksMax);
  ExpirySweep::Clock::time_point now{};
  // As if there were a million items.
  constexpr std::uint64_t kMillion = 1'000'000;
  const auto slice = [&] {
    cache.lane().items.Add(kMillion);
    const auto pause = sweep.Slice(now, cache.lane());
    cache.lane().items.Subtract(kMillion);
    now += pause;
    return pause;
  };
  // How long a pass would take with a million, from the shortest pause of many short slices: those
  // after a slice that took long, on a busy machine, are longer.
  const auto pass = [&] {
    ++cache.lane().now_s;
    (void)sweep.RequestPass();
    auto pause = slice();
    const std::uint64_t items = kMillion + cache.items();
    while (sweep.is_running()) pause = std::min(pause, slice());
    return std::chrono::round<std::chrono::seconds>(items / ExpirySweep::kSliceChunks * pause);
  };
  CHECK(pass() == ExpirySweep::kPassTime);
  const int filled = cache.Fill(20);
  CHECK(pass() == ExpirySweep::kPassTimeFull);
  // Every tenth key that is there expires soon.
  for (int i = 0; i < filled; i += 10) (void)cache.Touch("fill" + std::to_string(i), kSoonS);
  CHECK(pass() == ExpirySweep::kPassTimeFull);
  cache.lane().now_s = kSoonS;
  CHECK(pass() == ExpirySweep::kPassTimeFull);
  // There is room now, and then there is none.
  (void)cache.Fill(20, 1);
  CHECK(pass() == ExpirySweep::kPassTimeFull / 2);
  CHECK(pass() == ExpirySweep::kPassTimeFull);
}

}  // namespace
}  // namespace larder::slab
