// `explain <key> [b]`: where a key is, or what became of it.
#include "protocol/meta/meta_reply.h"
#include "server/command/meta_executor.h"

namespace larder::server {
namespace {

using protocol::WriteDecimal;
using protocol::WriteText;
using slab::Item;
using slab::Presence;
using slab::RemovalReason;

// Word, key, what became of it, seven fields.
constexpr std::size_t kExplainLineBytesMax = protocol::kExplainHead.size() +
                                             protocol::EncodedBytes(protocol::kKeyBytesMax) + 16 +
                                             7 * (8 + protocol::kDecimalBytesMax) + 2;

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
    case RemovalReason::kTooLarge:
      return " too_large";
    case RemovalReason::kNoMemory:
      return " no_memory";
  }
  return protocol::kExplainNotSeen;
}

std::string_view NameOf(slab::Segment segment, slab::EvictionPolicy policy) {
  if (policy == slab::EvictionPolicy::kLru) return "lru";
  return segment == slab::Segment::kMain ? "main" : "probation";
}

char* WriteField(char* out, std::string_view name, std::uint64_t number) {
  return WriteDecimal(WriteText(out, name), number);
}

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

void MetaExecutor::Explain(const protocol::LineRequest& request, std::uint64_t hash) {
  char* out = WriteText(output_.Room(kExplainLineBytesMax), protocol::kExplainHead);
  char* const key_at = out;
  const auto write_key = [&](bool is_encoded) {
    return is_encoded ? protocol::EncodeBase64(key_at, request.key)
                      : WriteText(key_at, request.key);
  };
  const bool is_binary = !protocol::IsTextKey(request.key);
  const Presence presence =
      cache_.Visit({.bytes = request.key, .hash = hash}, lane_, [&](const Item& item) {
        out = WriteText(write_key(is_binary || item.has_binary_key()), protocol::kExplainPresent);
        out = WriteField(out, " cls=", cache_.ClassOf(item));
        out = WriteText(WriteText(out, " seg="),
                        NameOf(item.eviction_state().segment(), cache_.eviction_policy()));
        out = WriteField(out, " age=", cache_.AgeOf(item, lane_));
        out = WriteField(out, " idle=", item.idle_s(lane_.now_s));
        const slab::Expiry expiry = item.expiry();
        out = !expiry.is_set()
                  ? WriteText(out, " ttl=-1")
                  : WriteField(out, " ttl=", static_cast<std::uint64_t>(expiry.SecondsLeft(lane_)));
        out = WriteField(out, " size=", slab::Cache::ItemBytes(item));
        out = WriteField(out, " hits=", item.eviction_state().hits());
      });
  if (presence != Presence::kHit) {
    out = write_key(is_binary);
    const auto removal = cache_.LastRemovalOf(hash, lane_);
    out = removal ? WriteRemoval(out, *removal) : WriteText(out, protocol::kExplainNotSeen);
  }
  output_.Commit(WriteText(out, protocol::kCrlf));
}

}  // namespace larder::server
