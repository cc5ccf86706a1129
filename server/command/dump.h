// `lru_crawler metadump` and `mgdump`: every key there is.
#pragma once

#include <cstdint>

#include "server/reply/output.h"
#include "server/reply/reply_stream.h"
#include "slab/cache.h"
#include "slab/engine/page_walk.h"
#include "slab/lane.h"

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

// Dump is a list under way. Between two pieces it holds a place and nothing else.
//
// Threads: one worker.
class Dump final : public ReplyStream {
 public:
  // A piece also ends behind so many steps of the walk.
  static constexpr std::uint32_t kStepsPerPiece = 8;

  Dump(slab::Cache& cache, const DumpOrder& order) : cache_(cache), order_(order) {}

  Progress Continue(slab::Lane& lane, Output& output) override;

 private:
  void Write(const slab::ItemSnapshot& item, const slab::Lane& lane, Output& output) const;

  slab::Cache& cache_;
  const DumpOrder order_;
  slab::PageWalk walk_;
};

}  // namespace larder::server
