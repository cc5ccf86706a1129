#include "slab/classes/size_ladder.h"

#include <algorithm>

#include "slab/check.h"
#include "slab/item/item.h"
#include "slab/memory/arena.h"

namespace larder::slab {
namespace {

// The largest chunk is half a page, so that every page holds at least two chunks.
constexpr std::size_t kChunkBytesMax = kPageBytes / 2;

// Returns the largest chunk size, in multiples of `unit`, of which as many fit into a page as of
// `bytes`: with it less space is lost at the end of the page.
std::size_t FillPage(std::size_t bytes, std::size_t unit) {
  const std::size_t per_page = kPageBytes / bytes;
  return std::max(bytes, kPageBytes / per_page / unit * unit);
}

}  // namespace

SizeLadder::SizeLadder(const Options& options) : chunk_bytes_{0} {
  const std::size_t unit = options.unit_bytes;
  const auto round_up = [unit](std::size_t bytes) { return (bytes + unit - 1) / unit * unit; };
  LARDER_CHECK(options.growth_factor > 1.0);
  LARDER_ASSERT(unit >= 4 && (unit & (unit - 1)) == 0);

  // The smallest class holds at least a header with 16 bytes for key and value.
  std::size_t bytes =
      std::clamp(round_up(options.chunk_bytes_min), round_up(sizeof(Item) + 16), kChunkBytesMax);
  while (bytes < kChunkBytesMax && chunk_bytes_.size() < kClassesMax) {
    chunk_bytes_.push_back(static_cast<std::uint32_t>(bytes));
    const auto grown =
        round_up(static_cast<std::size_t>(static_cast<double>(bytes) * options.growth_factor));
    // Sizes grow by fixed steps up to kFineStepBytesMax, then geometrically. Each step is at least
    // one unit.
    const bool is_fine = options.has_fine_steps && bytes < kFineStepBytesMax;
    bytes = is_fine ? bytes + std::max(unit, kFineStepBytes) : std::max(grown, bytes + unit);
    // Larger chunks get the largest size of which as many fit into a page, so that less of the page
    // is lost.
    if (options.has_fine_steps && bytes > kFineStepBytesMax && bytes < kChunkBytesMax) {
      bytes = FillPage(bytes, unit);
    }
  }
  // The last class has chunks of half a page.
  chunk_bytes_.push_back(kChunkBytesMax);

  // One entry for each multiple of 4 bytes: the first class whose chunk is large enough.
  class_of_units_.resize(kChunkBytesMax / 4 + 1);
  ClassId id = 1;
  for (std::size_t steps = 0; steps < class_of_units_.size(); ++steps) {
    while (chunk_bytes_[id] < steps * 4) ++id;
    class_of_units_[steps] = id;
  }
  LARDER_ASSERT(class_count() <= kClassesMax);
  LARDER_ASSERT(std::ranges::is_sorted(chunk_bytes_));
}

}  // namespace larder::slab
