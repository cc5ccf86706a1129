// The replies to `lru_crawler metadump` and `lru_crawler mgdump`: all keys.
#pragma once

#include <cstdint>

#include "server/reply/output.h"
#include "server/reply/reply_stream.h"
#include "slab/cache.h"
#include "slab/engine/page_walk.h"
#include "slab/lane.h"

namespace larder::server {

// The format of the lines, which is that of memcached.
enum class DumpFormat : std::uint8_t {
  // key=<percent-encoded> exp=<n> la=<n> cas=<n> fetch=<yes|no> cls=<n> size=<n> flags=<n>
  kMetadump,
  // mg <key>, or mg <base64> b for a key that a line cannot contain.
  kMgdump,
};

// What a dump is to list.
//
// Threads: a value.
struct DumpOrder {
  DumpFormat format = DumpFormat::kMetadump;
  // Only items of these slab classes.
  slab::ClassSet classes;
  // Whether the lines show the CAS of items; otherwise they show 0.
  bool shows_cas = true;
};

// Dump produces such a list. Between two pieces it holds nothing but its place among the pages, so
// a slow client blocks neither items nor memory. Items that are stored, removed or moved meanwhile
// may be listed or not.
//
// Threads: one worker.
// Owns:    its place in the walk over the pages, and no item.
class Dump final : public ReplyStream {
 public:
  // The most steps of the walk for one piece, because other clients wait for its end, and pages
  // without a wanted item produce no output that would end it. With twice as many they wait 18 us
  // longer, and a list of a million keys takes 6% less time.
  static constexpr std::uint32_t kStepsPerPiece = 4;

  Dump(slab::Cache& cache, const DumpOrder& order) : cache_(cache), order_(order) {}

  Progress Continue(slab::Lane& lane, Output& output) override;

 private:
  // Appends the line of one item.
  void Write(const slab::ItemSnapshot& item, const slab::Lane& lane, Output& output) const;

  slab::Cache& cache_;
  const DumpOrder order_;
  slab::PageWalk walk_;
  // The last piece was written; for the contract of Continue().
  bool has_ended_ = false;
};

}  // namespace larder::server
