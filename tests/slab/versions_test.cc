#include "slab/engine/versions.h"

#include <catch2/catch.hpp>
#include <cstdint>
#include <set>

#include "slab/engine/lanes.h"

namespace larder::slab {
namespace {

class VersionsTest {
 public:
  Versions& versions() { return versions_; }
  Lane& NewLane() { return lanes_.Add(); }
  // Of an item that was written with this number, and never used.
  bool IsFlushed(std::uint64_t number) {
    Item item{};
    item.set_number(number);
    return versions_.IsFlushed(item);
  }

 private:
  Lanes lanes_{{}};
  Versions versions_;
};

TEST_CASE_METHOD(VersionsTest, "no two lanes draw the same number", "[slab][versions]") {
  Lane& one = NewLane();
  Lane& other = NewLane();
  std::set<std::uint64_t> drawn;
  constexpr int kDraws = 10'000;  // More than a range of each.
  for (int i = 0; i < kDraws; ++i) {
    drawn.insert(versions().Next(one));
    drawn.insert(versions().Next(other));
  }
  CHECK(drawn.size() == 2 * kDraws);
  CHECK(*drawn.rbegin() < versions().unused());
}

TEST_CASE_METHOD(VersionsTest, "a flush kills what was written before, and nothing that comes",
                 "[slab][versions]") {
  Lane& one = NewLane();
  Lane& other = NewLane();
  const std::uint64_t before = versions().Next(one);
  const std::uint64_t before_too = versions().Next(other);
  CHECK_FALSE(IsFlushed(before));
  versions().FlushAll();
  CHECK(IsFlushed(before));
  CHECK(IsFlushed(before_too));
  // Both lanes had numbers left from before.
  CHECK_FALSE(IsFlushed(versions().Next(one)));
  CHECK_FALSE(IsFlushed(versions().Next(other)));
  CHECK(IsFlushed(before));
}

TEST_CASE_METHOD(VersionsTest, "a lane that draws learns of the flush, with its gauges",
                 "[slab][versions]") {
  Lane& lane = NewLane();
  lane.items.Add(3);
  lane.bytes.Add(300);
  versions().FlushAll();
  CHECK(lane.flush_floor.load() != versions().cutoff());
  (void)versions().Next(lane);
  CHECK(lane.flush_floor.load() == versions().cutoff());
  CHECK(lane.flushed_items.value() == 3);
  CHECK(lane.flushed_bytes.value() == 300);
}

TEST_CASE_METHOD(VersionsTest, "what a lane draws after a tick is greater than all before it",
                 "[slab][versions]") {
  Lane& one = NewLane();
  Lane& other = NewLane();
  const std::uint64_t early = versions().Next(one);
  const std::uint64_t greater = versions().Next(other);  // Of a later range.
  REQUIRE(greater > early);
  CHECK(versions().Next(one) < greater);
  versions().Tick(1);
  CHECK(versions().Next(one) > greater);
}

TEST_CASE_METHOD(VersionsTest, "the age of a write is told by the tick that it came after",
                 "[slab][versions]") {
  Lane& lane = NewLane();
  versions().Tick(1000);
  Item item{};
  item.set_number(versions().Next(lane));
  item.set_last_access(1004);
  versions().Tick(1005);
  lane.now_s = 1005;
  CHECK(versions().AgeOf(item, lane) == 5);
}

TEST_CASE_METHOD(VersionsTest, "a CAS that was given out is older than the item that replaced it",
                 "[slab][versions]") {
  Lane& lane = NewLane();
  const std::uint64_t seen = versions().Next(lane);
  Item item{};
  item.set_number(versions().Next(lane));
  CHECK(versions().IsOlder(seen, item));
  CHECK_FALSE(versions().IsOlder(versions().unused(), item));
}

TEST_CASE_METHOD(VersionsTest, "after a restart numbers go on, and what was flushed stays so",
                 "[slab][versions]") {
  versions().Restore(5000, 3000);
  CHECK(IsFlushed(2999));
  CHECK_FALSE(IsFlushed(3000));
  CHECK(versions().Next(NewLane()) >= 5000);
  CHECK(versions().cutoff() == 3000);
}

}  // namespace
}  // namespace larder::slab
