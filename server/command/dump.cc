// The formats of the two dumps, and the walk over all pages.
#include "server/command/dump.h"

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "protocol/encoding/base64.h"
#include "protocol/encoding/numbers.h"
#include "protocol/encoding/percent.h"
#include "protocol/meta/meta_reply.h"
#include "protocol/text/text_reply.h"
#include "slab/check.h"

namespace larder::server {
namespace {

using protocol::WriteDecimal;
using protocol::WriteText;

// The longest key that a snapshot can have.
constexpr std::size_t kKeyRoomBytes = sizeof(slab::ItemSnapshot::key_room);
// The most bytes of a metadump line: the key, percent-encoded, fixed texts and seven numbers.
constexpr std::size_t kMetadumpLineBytesMax =
    protocol::PercentEncodedBytesMax(kKeyRoomBytes) + 64 + 7 * protocol::kDecimalBytesMax;
// The most bytes of an mgdump line: the key in base64 and fixed texts.
constexpr std::size_t kMgdumpLineBytesMax = protocol::EncodedBytes(kKeyRoomBytes) + 16;

// Writes a line at `out`, where there is room for kMetadumpLineBytesMax, and returns its end.
// `last_access_s` is a Unix time.
char* WriteMetadumpLine(char* out, const slab::ItemSnapshot& item, std::uint64_t cas,
                        std::uint32_t last_access_s) {
  out = protocol::EncodePercent(WriteText(out, "key="), item.key());
  out = WriteText(out, " exp=");
  // -1 stands for an item that never expires.
  out = item.expires_at_s == 0 ? WriteText(out, "-1") : WriteDecimal(out, item.expires_at_s);
  out = WriteDecimal(WriteText(out, " la="), last_access_s);
  out = WriteDecimal(WriteText(out, " cas="), cas);
  out = WriteText(out, item.was_fetched ? " fetch=yes" : " fetch=no");
  out = WriteDecimal(WriteText(out, " cls="), item.class_id);
  out = WriteDecimal(WriteText(out, " size="), item.item_bytes);
  out = WriteDecimal(WriteText(out, " flags="), item.client_flags);
  return WriteText(out, protocol::kMetadumpLineEnd);
}

// Writes a line at `out`, where there is room for kMgdumpLineBytesMax, and returns its end.
char* WriteMgdumpLine(char* out, const slab::ItemSnapshot& item) {
  out = WriteText(out, "mg ");
  // A line cannot contain the key, so it is written in base64 with the flag b, as a client would
  // send it.
  if (item.has_binary_key || !protocol::IsTextKey(item.key())) {
    out = WriteText(protocol::EncodeBase64(out, item.key()), " b");
  } else {
    out = WriteText(out, item.key());
  }
  return WriteText(out, protocol::kCrlf);
}

}  // namespace

// A step copies the items of some chunks, and a piece consists of some steps, so that neither locks
// nor the worker are occupied for long.
ReplyStream::Progress Dump::Continue(slab::Lane& lane, Output& output) {
  LARDER_ASSERT(!has_ended_);
  std::array<slab::ItemSnapshot, slab::kWalkChunksMax> items;
  const std::size_t bytes_before = output.size();
  for (std::uint32_t step = 0; step < kStepsPerPiece; ++step) {
    // The last piece may have nothing but the end of the list.
    if (cache_.walker().IsAtEnd(walk_)) {
      output.Append(order_.format == DumpFormat::kMetadump ? protocol::kEnd : protocol::kMgdumpEnd);
      has_ended_ = true;
      return Progress::kEnded;
    }
    // The items are copied under the locks and printed after they are released.
    const std::size_t count = cache_.walker().Snapshot(walk_, order_.classes, lane, items);
    LARDER_ASSERT(count <= items.size());
    for (const slab::ItemSnapshot& item : std::span(items).first(count)) {
      Write(item, lane, output);
    }
    if (output.size() - bytes_before >= kPieceBytes) break;
  }
  return Progress::kMore;
}

void Dump::Write(const slab::ItemSnapshot& item, const slab::Lane& lane, Output& output) const {
  LARDER_ASSERT(item.key().size() <= kKeyRoomBytes);
  LARDER_ASSERT(order_.classes.test(item.class_id));
  if (order_.format == DumpFormat::kMgdump) {
    return output.Commit(WriteMgdumpLine(output.Room(kMgdumpLineBytesMax), item));
  }
  output.Commit(WriteMetadumpLine(output.Room(kMetadumpLineBytesMax), item,
                                  order_.shows_cas ? item.cas : 0, lane.wall_s() - item.idle_s));
}

}  // namespace larder::server
