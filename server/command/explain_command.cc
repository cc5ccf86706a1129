// The meta command `explain <key> [b]`: it shows where the cache has an item, or why it has none.
#include "protocol/meta/meta_reply.h"
#include "server/command/meta_executor.h"
#include "slab/check.h"

namespace larder::server {
namespace {

using protocol::WriteDecimal;
using protocol::WriteText;
using slab::Item;
using slab::Presence;
using slab::RemovalReason;

// The most bytes of a reply: the word, the key, its state, and seven fields.
constexpr std::size_t kExplainLineBytesMax = protocol::kExplainHead.size() +
                                             protocol::EncodedBytes(protocol::kKeyBytesMax) + 16 +
                                             7 * (8 + protocol::kDecimalBytesMax) + 2;

// The word for the reason of a removal.
std::string_view NameOf(RemovalReason reason) {
  switch (reason) {
    case RemovalReason::kEvicted:
      return " evicted";
    case RemovalReason::kMoved:
      return " moved";
    case RemovalReason::kExpired:
      return " expired";
    case RemovalReason::kDeleted:
      return " deleted";
    case RemovalReason::kFlushed:
      return " flushed";
    case RemovalReason::kDropped:
      return " dropped";
    case RemovalReason::kTooLarge:
      return " too_large";
    case RemovalReason::kNoMemory:
      return " no_memory";
  }
  LARDER_ASSERT(false && "a reason without a name");
  return protocol::kExplainNotSeen;
}

// The word for the queue that an item is in. Under the policy kLru there is only one.
std::string_view NameOf(slab::Segment segment, slab::EvictionPolicy policy) {
  if (policy == slab::EvictionPolicy::kLru) return "lru";
  return segment == slab::Segment::kMain ? "main" : "probation";
}

// Writes ` <name>=<number>` at `out` and returns its end; `name` has the space and the equals sign.
char* WriteField(char* out, std::string_view name, std::uint64_t number) {
  return WriteDecimal(WriteText(out, name), number);
}

// Writes what is remembered of the removal. The fields of an item are left out if there was none,
// as for a set that was refused.
char* WriteRemoval(char* out, const slab::RemovalRecord& removal) {
  out = WriteText(out, NameOf(removal.reason));
  if (removal.class_id != 0) {
    out = WriteField(out, " cls=", removal.class_id);
    out = WriteField(out, " age=", removal.age_s);
    out = WriteField(out, " idle=", removal.idle_s);
  }
  return WriteField(out, " ago=", removal.ago_s);
}

}  // namespace

// The fields of an item that is present: its slab class, the queue that it is in, seconds since it
// was written and since it was used, seconds until it expires (-1: never), its size in bytes, and
// the hits that the eviction remembers.
void MetaExecutor::Explain(const protocol::LineRequest& request, std::uint64_t hash) {
  char* out = WriteText(output_.Room(kExplainLineBytesMax), protocol::kExplainHead);
  // The key is written after the look-up has shown whether it has to be in base64.
  char* const key_at = out;
  bool is_encoded = !protocol::IsTextKey(request.key);
  const auto write_key = [&] {
    return is_encoded ? protocol::EncodeBase64(key_at, request.key)
                      : WriteText(key_at, request.key);
  };
  // The item is only read: a look-up with `explain` does not count as a use.
  const Presence presence =
      cache_.Visit({.bytes = request.key, .hash = hash}, lane_, [&](const Item& item) {
        is_encoded |= item.has_binary_key();
        out = WriteText(write_key(), protocol::kExplainPresent);
        out = WriteField(out, " cls=", cache_.ClassOf(item));
        out = WriteText(WriteText(out, " seg="),
                        NameOf(item.eviction_state().segment(), cache_.eviction_policy()));
        out = WriteField(out, " age=", cache_.AgeOf(item, lane_));
        out = WriteField(out, " idle=", item.idle_s(lane_.now_s));
        const slab::Expiry expiry = item.expiry();
        out = !expiry.is_set()
                  ? WriteText(out, " ttl=-1")
                  : WriteField(out, " ttl=", static_cast<std::uint64_t>(expiry.SecondsLeft(lane_)));
        out = WriteField(out, " size=", item.item_bytes());
        out = WriteField(out, " hits=", item.eviction_state().hits());
      });
  // The last removal of a key with this hash is remembered for some time.
  if (presence != Presence::kHit) {
    out = write_key();
    const auto removal = cache_.LastRemovalOf(hash, lane_);
    out = removal ? WriteRemoval(out, *removal) : WriteText(out, protocol::kExplainNotSeen);
  }
  output_.Commit(WriteText(out, protocol::kCrlf));
}

}  // namespace larder::server
