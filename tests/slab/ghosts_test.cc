#include "slab/eviction/ghosts.h"

#include <catch2/catch.hpp>
#include <optional>
#include <random>
#include <vector>

#include "tests/slab/hashes.h"

namespace larder::slab {
namespace {

std::optional<Segment> SegmentTaken(Ghosts& ghosts, std::uint64_t hash, std::uint64_t items) {
  const auto ghost = ghosts.Take(hash, items);
  return ghost ? std::optional(ghost->segment) : std::nullopt;
}

TEST_CASE("without an eviction there are no ghosts and no memory is taken", "[slab][ghosts]") {
  Ghosts ghosts;
  CHECK(ghosts.bytes() == 0);
  CHECK_FALSE(ghosts.Take(12345, 1000));
  ghosts.Fit(0);
  CHECK(ghosts.bytes() == 0);
}

TEST_CASE("a ghost tells the segment once", "[slab][ghosts]") {
  Ghosts ghosts;
  const auto hashes = Hashes(2, 1);
  ghosts.Add(hashes[0], Segment::kProbation, 100);
  ghosts.Add(hashes[1], Segment::kMain, 100);
  CHECK(SegmentTaken(ghosts, hashes[0], 100) == Segment::kProbation);
  CHECK(SegmentTaken(ghosts, hashes[1], 100) == Segment::kMain);
  CHECK_FALSE(ghosts.Take(hashes[0], 100));
  CHECK_FALSE(ghosts.Take(hashes[1], 100));
}

TEST_CASE("a hash of zeros has a ghost too", "[slab][ghosts]") {
  Ghosts ghosts;
  ghosts.Add(0, Segment::kProbation, 100);
  CHECK(SegmentTaken(ghosts, 0, 100) == Segment::kProbation);
  CHECK_FALSE(ghosts.Take(0, 100));
}

TEST_CASE("a ghost is news for half the items' evictions from probation, or all of them from main",
          "[slab][ghosts]") {
  const Segment segment = GENERATE(Segment::kProbation, Segment::kMain);
  const std::uint64_t items = GENERATE(std::uint64_t{200}, std::uint64_t{7001});
  const std::uint64_t news = segment == Segment::kMain ? items : items / 2;
  CAPTURE(segment, items);
  const auto hashes = Hashes(20'000, 3);
  // A set into which many fall loses one before its time, so several are asked.
  int in_time = 0;
  int late = 0;
  for (std::size_t first = 0; first < 50; ++first) {
    for (const bool is_late : {false, true}) {
      Ghosts ghosts;
      ghosts.Add(hashes[first], segment, items);
      for (std::uint64_t i = 0; i < news + is_late; ++i) {
        ghosts.Add(hashes[100 + i], segment, items);
      }
      (is_late ? late : in_time) += SegmentTaken(ghosts, hashes[first], items) == segment;
    }
  }
  // There is an entry for each item: from main, the oldest go before their time more often.
  CHECK(in_time >= (segment == Segment::kMain ? 15 : 35));
  CHECK(late == 0);
}

TEST_CASE("evictions from one segment do not age the ghosts of the other", "[slab][ghosts]") {
  Ghosts ghosts;
  const auto hashes = Hashes(301, 4);
  ghosts.Add(hashes[0], Segment::kMain, 1000);
  for (std::size_t i = 1; i <= 300; ++i) ghosts.Add(hashes[i], Segment::kProbation, 1000);
  CHECK(SegmentTaken(ghosts, hashes[0], 1000) == Segment::kMain);
}

TEST_CASE("of the ghosts that are news most are found, and hardly another key's",
          "[slab][ghosts]") {
  const std::uint64_t items = GENERATE(std::uint64_t{1000}, std::uint64_t{40'000});
  CAPTURE(items);
  const auto hashes = Hashes(items * 6, 5);
  Ghosts ghosts;
  // Steady state: as many are news as ever can be.
  for (std::size_t i = 0; i < items * 3; ++i) {
    ghosts.Add(hashes[i], i % 3 == 0 ? Segment::kProbation : Segment::kMain, items);
  }
  std::size_t found = 0;
  std::size_t asked = 0;
  for (std::size_t i = items * 3 - items; i < items * 3; ++i) {
    ++asked;
    found += ghosts.Take(hashes[i], items).has_value();
  }
  CHECK(found > asked * 8 / 10);
  std::size_t confused = 0;
  for (std::size_t i = items * 3; i < items * 6; ++i) {
    confused += ghosts.Take(hashes[i], items).has_value();
  }
  CHECK(confused < 5 + items * 3 / 3000);
}

TEST_CASE("ghosts take four bytes an item and give them back", "[slab][ghosts]") {
  Ghosts ghosts;
  ghosts.Add(1, Segment::kProbation, 100'000);
  CHECK(ghosts.bytes() >= 400'000);
  CHECK(ghosts.bytes() <= 400'032);
  ghosts.Fit(50'000);
  CHECK(ghosts.bytes() >= 400'000);
  ghosts.Fit(24'999);
  CHECK(ghosts.bytes() == 0);
  ghosts.Add(1, Segment::kProbation, 10);
  ghosts.Clear();
  CHECK(ghosts.bytes() == 0);
  CHECK_FALSE(ghosts.Take(1, 10));
}

TEST_CASE("a class that grows far has room for more ghosts", "[slab][ghosts]") {
  Ghosts ghosts;
  ghosts.Add(1, Segment::kProbation, 1000);
  ghosts.Add(2, Segment::kProbation, 1500);
  CHECK(ghosts.bytes() < 5000);
  CHECK(SegmentTaken(ghosts, 1, 1500) == Segment::kProbation);
  ghosts.Add(3, Segment::kProbation, 1501);
  CHECK(ghosts.bytes() >= 6000);
}

TEST_CASE("a ghost tells how many evictions of its segment ago it went", "[slab][ghosts]") {
  const Segment segment = GENERATE(Segment::kProbation, Segment::kMain);
  const Segment other = segment == Segment::kMain ? Segment::kProbation : Segment::kMain;
  const auto hashes = Hashes(40, 3);
  Ghosts ghosts;
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    ghosts.Add(hashes[i], i % 4 == 0 ? other : segment, 1000);
  }
  const auto ghost = ghosts.Take(hashes[21], 1000);
  REQUIRE(ghost);
  CHECK(ghost->segment == segment);
  CHECK(ghost->age == 14);  // Of the 18 behind it, four went from the other segment.
}

}  // namespace
}  // namespace larder::slab
