// `stats cachedump`: the keys of a slab class, from the newest item on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "server/reply/output.h"
#include "server/reply/reply_stream.h"
#include "server/shared.h"
#include "slab/cache.h"
#include "slab/engine/queue_walk.h"
#include "slab/result.h"

namespace larder::server {

struct CachedumpOrder {
  slab::ClassId class_id = 0;
  std::uint64_t items_max = 0;  // 0: no limit but kCachedumpBytesMax.
};

// What the whole list may take, as memcached's.
inline constexpr std::size_t kCachedumpBytesMax = std::size_t{2} << 20;

// What to list, or what to answer instead. REQUIRES: AskForCachedump(arguments).
Result<CachedumpOrder, std::string_view> ReadCachedumpOrder(std::string_view arguments,
                                                            const Shared& shared);

// Cachedump is such a list under way. It leaves out keys that no line can hold. What is written to
// the class meanwhile may show or not.
//
// Threads: one worker.
class Cachedump final : public ReplyStream {
 public:
  // A piece also ends behind so many steps of the walk.
  static constexpr std::uint32_t kStepsPerPiece = 8;

  Cachedump(slab::Cache& cache, const CachedumpOrder& order)
      : cache_(cache), order_(order), walk_{.class_id = order.class_id} {}

  Progress Continue(slab::Lane& lane, Output& output) override;

 private:
  bool is_over() const;

  slab::Cache& cache_;
  const CachedumpOrder order_;
  slab::QueueWalk walk_;
  std::uint64_t items_written_ = 0;
  std::size_t bytes_written_ = 0;
};

}  // namespace larder::server
