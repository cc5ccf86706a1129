// The arguments of `stats cachedump`, and the walk over the items of a class.
#include "server/command/cachedump.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <span>

#include "protocol/encoding/numbers.h"
#include "protocol/meta/meta_reply.h"
#include "protocol/text/text_reply.h"
#include "protocol/text/tokens.h"
#include "server/stats.h"
#include "slab/check.h"

namespace larder::server {

Result<CachedumpOrder, std::string_view> ReadCachedumpOrder(std::string_view arguments,
                                                            const Shared& shared) {
  LARDER_ASSERT(StreamedListOf(arguments) == StreamedList::kCachedump);
  const protocol::Tokens words(arguments);
  if (words.count() < 3) return Failure{protocol::kCachedumpUsage};
  if (!shared.config.dump_enabled) return Failure{protocol::kCachedumpNotAllowed};
  const auto id = protocol::ParseStrictUint64(words[1]);
  const auto items_max = protocol::ParseStrictUint64(words[2]);
  if (!id || !items_max) return Failure{protocol::kBadLine};
  // A class that has no items is valid, and its list is empty.
  if (*id > slab::kClassesMax) return Failure{protocol::kIllegalSlabId};
  return CachedumpOrder{.class_id = static_cast<slab::ClassId>(*id), .items_max = *items_max};
}

bool Cachedump::is_over() const {
  // The size is checked after each step, so the list may exceed it by one step.
  return walk_.is_at_end || bytes_written_ > kCachedumpBytesMax ||
         (order_.items_max != 0 && items_written_ >= order_.items_max);
}

// A step copies some items from the queue, and a piece consists of some steps, so that neither the
// lock nor the worker is occupied for long.
ReplyStream::Progress Cachedump::Continue(slab::Lane& lane, Output& output) {
  LARDER_ASSERT(!is_over());
  std::array<slab::ItemSnapshot, slab::kWalkChunksMax> items;
  const std::size_t bytes_before = output.size();
  for (std::uint32_t step = 0; step < kStepsPerPiece && !is_over(); ++step) {
    // The items are copied under the class's lock and printed after it: only as many as are still
    // wanted.
    std::span<slab::ItemSnapshot> wanted(items);
    if (order_.items_max != 0) {
      wanted = wanted.first(std::min(wanted.size(), order_.items_max - items_written_));
    }
    LARDER_ASSERT(!wanted.empty());
    const std::size_t count = cache_.walker().SnapshotQueue(walk_, lane, wanted);
    LARDER_ASSERT(count <= wanted.size());
    for (const slab::ItemSnapshot& item : wanted.first(count)) {
      // Such a key could contain spaces or line ends.
      if (item.has_binary_key || !protocol::IsTextKey(item.key())) continue;
      const std::string line =
          fmt::format("ITEM {} [{} b; {} s]\r\n", item.key(), item.value_bytes, item.expires_at_s);
      output.Append(line);
      bytes_written_ += line.size();
      ++items_written_;
    }
    // The rest goes into the next piece.
    if (output.size() - bytes_before >= kPieceBytes) break;
  }
  if (!is_over()) return Progress::kMore;
  output.Append(protocol::kEnd);
  return Progress::kEnded;
}

}  // namespace larder::server
