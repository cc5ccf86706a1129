// The reply to `stats cachedump`: the keys of a slab class, from the newest item on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "server/reply/output.h"
#include "server/reply/reply_stream.h"
#include "server/shared.h"
#include "slab/cache.h"
#include "slab/check.h"
#include "slab/engine/queue_walk.h"
#include "slab/result.h"

namespace larder::server {

// What a cachedump is to list.
//
// Threads: a value.
struct CachedumpOrder {
  slab::ClassId class_id = 0;
  // The most items to list. 0: no limit but kCachedumpBytesMax.
  std::uint64_t items_max = 0;
};

// The size in bytes at which the list ends, as in memcached.
inline constexpr std::size_t kCachedumpBytesMax = std::size_t{2} << 20;

// What to list, or the error to reply with if the arguments are wrong or dumps are not allowed.
// REQUIRES: StreamedListOf(arguments) is kCachedump.
Result<CachedumpOrder, std::string_view> ReadCachedumpOrder(std::string_view arguments,
                                                            const Shared& shared);

// Cachedump produces such a list, as lines `ITEM <key> [<bytes> b; <exptime> s]`. It leaves out
// keys that a line cannot contain. Items that are stored or removed while the list is produced may
// be listed or not.
//
// Threads: one worker.
// Owns:    its place in the queues of the class, and no item.
class Cachedump final : public ReplyStream {
 public:
  // The most steps of the walk for one piece: the items of a class may be of the kind that is left
  // out, and then the size of the piece alone would not end it.
  static constexpr std::uint32_t kStepsPerPiece = 8;

  Cachedump(slab::Cache& cache, const CachedumpOrder& order)
      : cache_(cache), order_(order), walk_{.class_id = order.class_id} {
    LARDER_ASSERT(order.class_id <= slab::kClassesMax);
  }

  Progress Continue(slab::Lane& lane, Output& output) override;

 private:
  // Whether everything that was ordered is listed, or a limit is reached.
  bool is_over() const;

  slab::Cache& cache_;
  const CachedumpOrder order_;
  slab::QueueWalk walk_;
  // What was listed so far.
  std::uint64_t items_written_ = 0;
  std::size_t bytes_written_ = 0;
};

}  // namespace larder::server
