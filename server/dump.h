// `lru_crawler metadump` and `mgdump`: every key there is.
#pragma once

#include <cstdint>

#include "server/output.h"
#include "slab/cache.h"
#include "slab/lane.h"
#include "slab/page_walk.h"

namespace larder::server {

enum class DumpFormat : std::uint8_t {
  kMetadump,  // key=<percent-encoded> exp=<n> la=<n> cas=<n> fetch=<yes|no> cls=<n> size=<n> ...
  kMgdump,    // mg <key>, or mg <base64> b for a key that no line can hold.
};

struct DumpOrder {
  DumpFormat format = DumpFormat::kMetadump;
  slab::ClassSet classes;
  bool shows_cas = true;  // Else it is 0.
};

// Dump is a list under way, written slice by slice, so that its client may take as long as it likes
// and others are served in between. Between two slices it holds a place and nothing else.
//
// Threads: one worker.
class Dump {
 public:
  // A slice ends behind the step of the walk that reaches one of these.
  static constexpr std::uint32_t kStepsPerSlice = 8;
  static constexpr std::size_t kSliceBytes = 64 * 1024;

  Dump(slab::Cache& cache, const DumpOrder& order) : cache_(cache), order_(order) {}

  // Appends the next lines. False if the list has ended with them.
  [[nodiscard]] bool Continue(const slab::Lane& lane, Output& output);

 private:
  void Write(const slab::ItemSnapshot& item, const slab::Lane& lane, Output& output) const;

  slab::Cache& cache_;
  const DumpOrder order_;
  slab::PageWalk walk_;
};

}  // namespace larder::server
