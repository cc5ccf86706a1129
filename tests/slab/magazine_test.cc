#include "slab/classes/magazine.h"

#include <array>
#include <catch2/catch.hpp>
#include <thread>
#include <vector>

namespace larder::slab {
namespace {

// NumberedChunks with numbers from 1 on, as refs.
class NumberedChunks {
 public:
  Item& At(ItemRef ref) { return items_.at(ref - 1); }

 private:
  std::array<Item, 2 * Magazine::kSlots> items_{};
};

TEST_CASE("a magazine gives each chunk in stock once, in the order of its slots", "[magazine]") {
  NumberedChunks chunks;
  Magazine magazine;
  CHECK(magazine.Take() == kNoItem);
  magazine.Stock(3, 4, chunks.At(4));
  magazine.Stock(1, 2, chunks.At(2));
  CHECK(chunks.At(4).use() == ChunkUse::kStocked);
  CHECK(magazine.Take() == 2);
  CHECK(magazine.Take() == 4);
  CHECK(magazine.Take() == kNoItem);
}

TEST_CASE("an item that arrived lies in the slot that its chunk came from", "[magazine]") {
  NumberedChunks chunks;
  Magazine magazine;
  magazine.Stock(5, 7, chunks.At(7));
  REQUIRE(magazine.Take() == 7);
  magazine.Put(7, chunks.At(7), 0xabc);
  CHECK(chunks.At(7).use() == ChunkUse::kArriving);
  CHECK(chunks.At(7).magazine_slot()->load() == 7);
  CHECK(magazine.Take() == kNoItem);  // It is no chunk in stock.

  const Magazine::Taken taken = magazine.TakeAny(5);
  CHECK(taken.ref == 7);
  CHECK(taken.entry.hash == 0xabc);
  CHECK(taken.entry.queue_entry == QueueEntry::kNew);
  CHECK(magazine.TakeAny(5).ref == kNoItem);
}

TEST_CASE("what others took is not the lane's any more", "[magazine]") {
  NumberedChunks chunks;
  Magazine magazine;
  magazine.Stock(0, 1, chunks.At(1));
  magazine.Stock(1, 2, chunks.At(2));
  CHECK(magazine.TakeAny(0).ref == 1);
  CHECK(magazine.Take() == 2);
  magazine.PutLeaving(4, 3, chunks.At(3), 9, Segment::kMain);
  CHECK(chunks.At(3).use() == ChunkUse::kLeaving);
  CHECK(magazine.TakeAny(4).entry.queue_entry == QueueEntry::kUndecided);
  CHECK(magazine.TakeBack(4) == kNoItem);
}

TEST_CASE("an item that stays says where it goes", "[magazine]") {
  NumberedChunks chunks;
  Magazine magazine;
  magazine.PutLeaving(2, 3, chunks.At(3), 9, Segment::kMain);
  REQUIRE(magazine.TakeBack(2) == 3);
  magazine.Return(2, 3, QueueEntry::kSpared);
  const Magazine::Taken taken = magazine.TakeOwn(2);
  CHECK(taken.ref == 3);
  CHECK(taken.entry.hash == 9);
  CHECK(taken.entry.segment == Segment::kMain);
  CHECK(taken.entry.queue_entry == QueueEntry::kSpared);
  CHECK(magazine.TakeOwn(2).ref == kNoItem);
}

TEST_CASE("removals are told once", "[magazine]") {
  Magazine magazine;
  std::vector<std::uint64_t> told;
  const auto count = [&] {
    for (const ReclaimedItem& removal : magazine.TakeReclaimed()) told.push_back(removal.hash);
  };
  magazine.AddReclaimed({.hash = 1});
  count();
  CHECK(told.empty());
  magazine.AddReclaimed({.hash = 2});
  magazine.PublishReclaimed();
  count();
  count();
  CHECK(told == std::vector<std::uint64_t>{1, 2});
}

TEST_CASE("of a lane and another thread one gets each chunk", "[magazine]") {
  constexpr int kRounds = 20'000;
  NumberedChunks chunks;
  Magazine magazine;
  std::atomic<bool> ends{false};
  std::uint64_t by_other = 0;
  std::thread other([&] {
    while (!ends.load()) {
      for (std::uint32_t slot = 0; slot < Magazine::kSlots; ++slot) {
        if (magazine.TakeAny(slot).ref != kNoItem) ++by_other;
      }
    }
  });
  std::uint64_t by_lane = 0;
  std::uint64_t left = 0;
  for (int round = 0; round < kRounds; ++round) {
    for (std::uint32_t slot = 0; slot < 4; ++slot) {
      magazine.Stock(slot, slot + 1, chunks.At(slot + 1));
    }
    while (magazine.Take() != kNoItem) ++by_lane;
  }
  ends = true;
  other.join();
  for (std::uint32_t slot = 0; slot < Magazine::kSlots; ++slot) {
    if (magazine.TakeAny(slot).ref != kNoItem) ++left;
  }
  CHECK(by_lane + by_other == std::uint64_t{4} * kRounds);
  CHECK(left == 0);
}

}  // namespace
}  // namespace larder::slab
