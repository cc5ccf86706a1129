#include "slab/classes/size_ladder.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <vector>

#include "slab/memory/arena.h"

namespace larder::slab {
namespace {

std::vector<std::uint32_t> ChunkSizes(const SizeLadder& ladder) {
  std::vector<std::uint32_t> chunks;
  for (std::size_t id = 1; id <= ladder.class_count(); ++id) {
    chunks.push_back(ladder.chunk_bytes(static_cast<ClassId>(id)));
  }
  return chunks;
}

// The ladders that the options of a server can ask for.
std::vector<SizeLadder::Options> AllOptions() {
  std::vector<SizeLadder::Options> all;
  for (const std::size_t unit : {4U, 8U, 64U}) {
    for (const std::size_t smallest : {29U, 80U, 300U, 1'000'000U}) {
      for (const double factor : {1.01, 1.08, 1.25, 2.0, 1000.0}) {
        for (const bool has_fine_steps : {true, false}) {
          all.push_back({.chunk_bytes_min = smallest,
                         .growth_factor = factor,
                         .has_fine_steps = has_fine_steps,
                         .unit_bytes = unit});
        }
      }
    }
  }
  return all;
}

TEST_CASE("every size maps to the smallest chunk that holds it", "[slab][size_ladder]") {
  std::size_t wrong_sizes = 0;
  for (const SizeLadder::Options& options : AllOptions()) {
    const SizeLadder ladder(options);
    ClassId expected = 1;
    for (std::size_t bytes = 0; bytes <= ladder.chunk_bytes_max(); ++bytes) {
      while (ladder.chunk_bytes(expected) < bytes) ++expected;
      if (ladder.ClassFor(bytes) != expected) ++wrong_sizes;
    }
  }
  CHECK(wrong_sizes == 0);
}

TEST_CASE("chunks grow, are multiples of the unit and at most half a page", "[slab][size_ladder]") {
  for (const SizeLadder::Options& options : AllOptions()) {
    CAPTURE(options.unit_bytes, options.chunk_bytes_min, options.growth_factor,
            options.has_fine_steps);
    const SizeLadder ladder(options);
    const auto chunks = ChunkSizes(ladder);
    REQUIRE_FALSE(chunks.empty());
    CHECK(chunks.size() <= kClassesMax);
    CHECK(std::ranges::adjacent_find(chunks, std::ranges::greater_equal{}) == chunks.end());
    CHECK(std::ranges::all_of(chunks, [&](auto c) { return c % options.unit_bytes == 0; }));
    CHECK(chunks.back() == kPageBytes / 2);
    CHECK(ladder.chunk_bytes_max() == kPageBytes / 2);
    CHECK(ladder.largest() == chunks.size());
  }
}

TEST_CASE("by default small chunks differ by the unit and large ones by a tenth",
          "[slab][size_ladder]") {
  const auto chunks = ChunkSizes(SizeLadder({}));
  CHECK(chunks.front() == 44);
  for (std::size_t i = 1; i < chunks.size(); ++i) {
    CAPTURE(chunks[i - 1], chunks[i]);
    if (chunks[i] <= kFineStepBytesMax) {
      CHECK(chunks[i] == chunks[i - 1] + 8);
    } else if (kPageBytes / chunks[i] > 10) {  // From there on, chunks fill the page by number.
      CHECK(chunks[i] <= chunks[i - 1] * 1.2 + 8);
    }
  }
}

TEST_CASE("large chunks leave no room at the end of a page for their number",
          "[slab][size_ladder]") {
  for (const std::uint32_t chunk : ChunkSizes(SizeLadder({}))) {
    if (chunk <= kFineStepBytesMax) continue;
    CAPTURE(chunk);
    CHECK(kPageBytes % chunk < kPageBytes / chunk * 8);
  }
}

TEST_CASE("a growth factor gives plain geometric steps", "[slab][size_ladder]") {
  const auto chunks = ChunkSizes(
      SizeLadder({.chunk_bytes_min = 80, .growth_factor = 2.0, .has_fine_steps = false}));
  CHECK(chunks == std::vector<std::uint32_t>{80, 160, 320, 640, 1280, 2560, 5120, 10240, 20480,
                                             40960, 81920, 131072});
}

TEST_CASE("a tiny growth factor uses up the classes and ends at half a page",
          "[slab][size_ladder]") {
  const auto chunks = ChunkSizes(
      SizeLadder({.chunk_bytes_min = 48, .growth_factor = 1.01, .has_fine_steps = false}));
  CHECK(chunks.size() == kClassesMax);
  CHECK(chunks.back() == kPageBytes / 2);
}

}  // namespace
}  // namespace larder::slab
