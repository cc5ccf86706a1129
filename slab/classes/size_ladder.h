// SizeLadder: the chunk sizes of all slab classes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "slab/check.h"
#include "slab/ids.h"

namespace larder::slab {

// Small classes differ by this many bytes.
inline constexpr std::size_t kFineStepBytes = 8;
// Up to this chunk size classes differ by kFineStepBytes; beyond, by the growth factor.
inline constexpr std::size_t kFineStepBytesMax = 256;
// The ratio of neighbouring chunk sizes unless the operator chooses another.
inline constexpr double kGrowthFactorDefault = 1.10;

// SizeLadder maps the size of an item to the class with the smallest chunk that holds it.
//
//   default   40 48 56 ... 248 256 | x 1.10, as page / n from where chunks tile the page | page / 2
//   -f given  smallest, x f, x f, ...                                                    | page / 2
//
// Fine steps waste less memory: a 20 B key with a 100 B value takes 144 bytes, not 192.
//
// Threads:    immutable.
// Owns:       two tables, which its constructor computes.
// Invariants: chunk sizes rise with the class id and are multiples of the unit; the last one is
//             half a page.
class SizeLadder {
 public:
  struct Options {
    // Smallest chunk in bytes, header included; rounded up to the unit.
    std::size_t chunk_bytes_min = 44;
    // Ratio of neighbouring chunk sizes above the fine steps. Greater than 1.
    double growth_factor = kGrowthFactorDefault;
    // False: geometric steps only, as memcached has them.
    bool has_fine_steps = true;
    // Chunk sizes are multiples of this power of two, the unit of the arena. At least 4.
    std::size_t unit_bytes = 4;
  };
  // Computes at most kClassesMax classes. REQUIRES: the options are as described.
  explicit SizeLadder(const Options& options);

  // Classes have the ids 1 to class_count().
  std::size_t class_count() const { return chunk_bytes_.size() - 1; }
  // Bytes of a chunk of class `id`; 0 for class 0. REQUIRES: id <= class_count().
  std::uint32_t chunk_bytes(ClassId id) const {
    LARDER_ASSERT(id < chunk_bytes_.size());
    return chunk_bytes_[id];
  }
  // The largest item that lies in one chunk; larger ones are chains of chunks.
  std::uint32_t chunk_bytes_max() const { return chunk_bytes_.back(); }
  // The class with the largest chunks.
  ClassId largest() const { return static_cast<ClassId>(class_count()); }

  // The class with the smallest chunk of at least `bytes` bytes. REQUIRES: bytes <=
  // chunk_bytes_max().
  ClassId ClassFor(std::size_t bytes) const {
    LARDER_ASSERT(bytes <= chunk_bytes_max());
    return class_of_units_[(bytes + 3) / 4];
  }

 private:
  // By ClassId; [0] is unused.
  std::vector<std::uint32_t> chunk_bytes_;
  // By size in steps of 4 bytes, rounded up.
  std::vector<ClassId> class_of_units_;
};

}  // namespace larder::slab
