// Which chunk sizes there are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "slab/check.h"
#include "slab/ids.h"

namespace larder::slab {

inline constexpr std::size_t kFineStepBytes = 8;
inline constexpr std::size_t kFineStepBytesMax = 256;
inline constexpr double kGrowthFactorDefault = 1.10;

// SizeLadder maps an item's size to the class with the smallest chunk that holds it.
//
//   default   40 48 56 ... 248 256 | x 1.10, as page / n from where chunks tile the page | page / 2
//   -f given  smallest, x f, x f, ...                                                    | page / 2
//
// Fine steps waste less: a 20 B key with a 100 B value takes 144 bytes, not 192.
//
// Threads: immutable.
class SizeLadder {
 public:
  struct Options {
    std::size_t chunk_bytes_min = 44;  // Header included; rounded up to the unit.
    double growth_factor = kGrowthFactorDefault;
    bool has_fine_steps = true;
    std::size_t unit_bytes = 4;  // Chunk sizes are multiples of this power of two.
  };
  explicit SizeLadder(const Options& options);

  std::size_t class_count() const { return chunk_bytes_.size() - 1; }
  // 0 for class 0. REQUIRES: id <= class_count().
  std::uint32_t chunk_bytes(ClassId id) const {
    LARDER_ASSERT(id < chunk_bytes_.size());
    return chunk_bytes_[id];
  }
  std::uint32_t chunk_bytes_max() const { return chunk_bytes_.back(); }
  ClassId largest() const { return static_cast<ClassId>(class_count()); }

  // REQUIRES: bytes <= chunk_bytes_max().
  ClassId ClassFor(std::size_t bytes) const {
    LARDER_ASSERT(bytes <= chunk_bytes_max());
    return class_of_units_[(bytes + 3) / 4];
  }

 private:
  std::vector<std::uint32_t> chunk_bytes_;  // [0] is unused.
  std::vector<ClassId> class_of_units_;     // By size in steps of 4 bytes, rounded up.
};

}  // namespace larder::slab
