// mg, and what all meta commands share. How their flags are written in a line is in
// protocol/meta/meta_flags.h.
#include "server/command/meta_executor.h"

#include <algorithm>
#include <limits>

#include "protocol/meta/meta_reply.h"
#include "protocol/text/text_reply.h"

namespace larder::server {
namespace {

using protocol::LineRequest;
using protocol::MetaFlags;
using protocol::MetaFlagSet;
using protocol::MetaVerb;
using protocol::WriteText;
using slab::Item;
using slab::Presence;
using slab::StoreMode;
using slab::StoreStatus;

constexpr std::uint64_t kNoSuchCas = std::numeric_limits<std::uint64_t>::max();
constexpr std::size_t kHitBytesMax = protocol::kMetaLineBytesMax + kPinBytesMin + kTailBytesMax;
constexpr MetaFlagSet kHitFlags = protocol::FlagsIn(protocol::kHitReply);

}  // namespace

void MetaExecutor::Execute(const LineRequest& request, std::uint64_t hash) {
  if (request.meta_verb == MetaVerb::kGet) [[likely]]
    return Get(request, hash);
  ExecuteRarer(request, hash);
}

void MetaExecutor::ExecuteRarer(const LineRequest& request, std::uint64_t hash) {
  switch (request.meta_verb) {
    case MetaVerb::kGet:
      return;  // Done by Execute().
    case MetaVerb::kSet:
      return Set(request, hash);
    case MetaVerb::kDelete:
      return Delete(request, hash);
    case MetaVerb::kArithmetic:
      return Arithmetic(request, hash);
    case MetaVerb::kDebug:
      return Debug(request, hash);
    case MetaVerb::kExplain:
      return Explain(request, hash);
    case MetaVerb::kNoop:
      return output_.Append(protocol::kMn);
  }
}

std::optional<std::uint64_t> MetaExecutor::NamedCas(std::string_view arguments) const {
  const auto cas = protocol::MetaNumberOf(arguments, 'C');
  return cas && *cas != 0 && !shared_.config.use_cas ? kNoSuchCas : cas;
}

std::optional<std::uint64_t> MetaExecutor::ChosenCas(std::string_view arguments) const {
  return shared_.config.use_cas ? protocol::MetaNumberOf(arguments, 'E') : std::nullopt;
}

// The flags of a reply, in the order of the request.
char* MetaExecutor::WriteFlags(char* out, std::string_view arguments, protocol::MetaReplies reply,
                               ShownItem& shown) const {
  for (MetaFlags flags(arguments); flags.Next();) {
    const char letter = flags.letter();
    if ((protocol::FindMetaFlag(letter)->replies & reply) == 0) continue;
    const auto expires_at = [&] {
      return SignedExpiresAt(protocol::ParseStrictInt32(flags.token()).value_or(0));
    };
    switch (letter) {
      case 'O':
        out = protocol::WriteMetaText(out, flags.text());
        break;
      case 'k':
        out = protocol::WriteMetaKey(out, shown.key, shown.is_key_encoded);
        break;
      case 'c':
        out = protocol::WriteMetaNumber(out, letter, ShownCas(shown.cas));
        break;
      case 's':
        out = protocol::WriteMetaNumber(out, letter, shown.value_bytes);
        break;
      case 'f':
        out = protocol::WriteMetaNumber(out, letter, shown.client_flags);
        break;
      case 'h':
        out = protocol::WriteMetaNumber(out, letter, shown.was_fetched ? 1 : 0);
        break;
      case 'l':
        out = protocol::WriteMetaNumber(out, letter, shown.idle_s);
        break;
      case 't':
        if (!shown.expiry.is_set()) {
          out = protocol::WriteMetaText(out, "t-1");
        } else {
          const auto left_s = std::max<std::int64_t>(shown.expiry.SecondsLeft(lane_), 0);
          out = protocol::WriteMetaNumber(out, letter, static_cast<std::uint64_t>(left_s));
        }
        break;
      case 'T':
        shown.expiry = expires_at();
        break;
      case 'N':
        if (shown.is_new) shown.expiry = expires_at();
        break;
      case 'R':
        if (!shown.is_won && !shown.is_new && shown.expiry.is_set()) {
          const slab::Expiry later = expires_at();
          shown.wins |=
              later.is_set() && shown.expiry.SecondsLeft(lane_) < later.SecondsLeft(lane_);
        }
        break;
      default:  // The table knows no other that has a place in a reply.
        break;
    }
  }
  return out;
}

// A reply without an item: a code, then opaque and key as asked.
void MetaExecutor::AnswerOther(std::string_view code, const LineRequest& request) {
  char* out = WriteText(output_.Room(protocol::kMetaLineBytesMax), code);
  ShownItem shown{.key = request.key, .is_key_encoded = request.flags.has('b')};
  out = WriteFlags(out, request.arguments, protocol::kOtherReply, shown);
  output_.Commit(WriteText(out, protocol::kCrlf));
}

// --- mg ----------------------------------------------------------------------------------------

// Inlined into both look-ups, as that of text.
template <class NoteUse>
[[gnu::always_inline]] inline char* MetaExecutor::WriteHit(Item& item, std::uint32_t value_bytes,
                                                           const LineRequest& request,
                                                           const NoteUse& note_use, char* out) {
  const MetaFlagSet asked = request.flags;
  bool has_value = asked.has('v');
  if (asked.has('C') && NamedCas(request.arguments) == ShownCas(item.cas())) [[unlikely]]
    has_value = false;
  if (has_value) {
    out = protocol::WriteDecimal(WriteText(out, protocol::kMetaValue), value_bytes);
  } else {
    out = WriteText(out, protocol::kMetaDone);
  }
  if (asked.has_any(kHitFlags) || item.is_stale_or_won()) {
    out = WriteHitFlags(out, item, request);
  }
  out = WriteText(out, protocol::kCrlf);
  if (!asked.has('u')) [[likely]]
    note_use();
  if (!has_value) return out;
  return WriteText(WriteValue(item, value_bytes, out), protocol::kCrlf);
}

[[gnu::always_inline]] inline void MetaExecutor::Get(const LineRequest& request,
                                                     std::uint64_t hash) {
  if (request.flags.has('T')) [[unlikely]]
    return GetAndTouch(request, hash);
  char* out = output_.Room(kHitBytesMax);
  const auto write = [&](Item & item, std::uint32_t value_bytes, const auto& note_use)
      __attribute__((always_inline)) {
    out = WriteHit(item, value_bytes, request, note_use, out);
  };
  const Presence presence = Commands::Get({.bytes = request.key, .hash = hash}, write);
  if (presence != Presence::kHit) return Miss(request, hash, presence);
  output_.Commit(out);
}

// Kept apart: in one function with it, the others would save registers for it.
void MetaExecutor::GetAndTouch(const LineRequest& request, std::uint64_t hash) {
  char* out = output_.Room(kHitBytesMax);
  const auto write = [&](Item& item, std::uint32_t value_bytes, const auto& note_use) {
    out = WriteHit(item, value_bytes, request, note_use, out);
  };
  const Presence presence = Commands::GetAndTouch<SetsExpiry::kCodec>(
      {.bytes = request.key, .hash = hash}, SignedExpiresAt(request.exptime), write);
  if (presence != Presence::kHit) return Miss(request, hash, presence);
  output_.Commit(out);
}

// What a hit shows, before it counts as one; then the marks.
char* MetaExecutor::WriteHitFlags(char* out, Item& item, const LineRequest& request) const {
  const bool is_key_encoded =
      request.flags.has('k') && (item.has_binary_key() || !protocol::IsTextKey(item.key()));
  ShownItem shown{.key = item.key(),
                  .is_key_encoded = is_key_encoded,
                  .value_bytes = item.value_bytes(),
                  .client_flags = item.client_flags(),
                  .expiry = item.expiry(),
                  .cas = item.cas(),
                  .idle_s = item.idle_s(lane_.now_s),
                  .was_fetched = item.was_fetched(),
                  .is_won = item.is_won()};
  out = WriteFlags(out, request.arguments, protocol::kHitReply, shown);
  (void)item.SetExpiry(shown.expiry);  // It has the room.
  if (shown.is_won) out = protocol::WriteMetaText(out, "Z");
  if (item.is_stale()) {
    out = protocol::WriteMetaText(out, "X");
    shown.wins |= !shown.is_won;
  }
  if (shown.wins) {
    out = protocol::WriteMetaText(out, "W");
    item.set_won();
  }
  return out;
}

void MetaExecutor::Miss(const LineRequest& request, std::uint64_t hash, Presence presence) {
  if (presence == Presence::kNoRoom) return output_.Append(protocol::kNoMemory);
  const MetaFlagSet asked = request.flags;
  const Operation operation = asked.has('T') ? Operation::kGetAndTouch : Operation::kGet;
  const auto cluster = SeeCluster(request.key, operation);
  if (cluster != nullptr) return AnswerCluster(request, *cluster);
  if (asked.has('N') && CreateEmpty(request, hash)) return;
  SeePlainMiss(request.key, operation, presence);
  if (!asked.has('q')) AnswerOther(protocol::kMetaMissing, request);
}

// As an item that was never fetched, and whose CAS is the version.
void MetaExecutor::AnswerCluster(const LineRequest& request, const ClusterSnapshot& cluster) {
  const MetaFlagSet asked = request.flags;
  const std::string_view value = cluster.value;
  ShownItem shown{.key = request.key,
                  .is_key_encoded = asked.has('b'),
                  .value_bytes = static_cast<std::uint32_t>(value.size()),
                  .cas = cluster.version};
  char* out = output_.Room(protocol::kMetaLineBytesMax + value.size() + kTailBytesMax);
  if (asked.has('v')) {
    out = protocol::WriteDecimal(WriteText(out, protocol::kMetaValue), value.size());
  } else {
    out = WriteText(out, protocol::kMetaDone);
  }
  out = WriteFlags(out, request.arguments, protocol::kHitReply, shown);
  out = WriteText(out, protocol::kCrlf);
  if (asked.has('v')) out = WriteText(WriteText(out, value), protocol::kCrlf);
  output_.Commit(out);
}

// The expiry that an item gets which the request creates.
slab::Expiry MetaExecutor::ExpiryOfNew(const LineRequest& request, protocol::MetaReplies reply) {
  ShownItem shown{.key = request.key, .is_key_encoded = true, .is_new = true};
  char* const scratch = output_.Room(protocol::kMetaLineBytesMax);
  (void)WriteFlags(scratch, request.arguments, reply, shown);
  return shown.expiry;
}

// An item without a value, for this client to fill. False if there is no memory.
bool MetaExecutor::CreateEmpty(const LineRequest& request, std::uint64_t hash) {
  const MetaFlagSet asked = request.flags;
  const StorePlan plan{.spec = {.key = {.bytes = request.key, .hash = hash},
                                .expiry = ExpiryOfNew(request, protocol::kHitReply)},
                       .terms = {.mode = StoreMode::kAdd},
                       .chosen_cas = ChosenCas(request.arguments),
                       .mark = slab::ItemMark::kWon};
  const slab::StoreOutcome outcome = StoreUnseen(plan, {});
  if (outcome.status == StoreStatus::kNotStored) {
    Execute(request, hash);  // Another client was quicker.
    return true;
  }
  if (outcome.status != StoreStatus::kStored) return false;
  observers_.See({.operation = asked.has('T') ? Operation::kGetAndTouch : Operation::kGet,
                  .class_id = outcome.class_id});
  char* out = output_.Room(protocol::kMetaLineBytesMax);
  out = WriteText(out, asked.has('v') ? "VA 0" : protocol::kMetaDone);
  ShownItem shown{.key = request.key,
                  .is_key_encoded = !protocol::IsTextKey(request.key),
                  .cas = outcome.cas,
                  .is_new = true};
  out = WriteFlags(out, request.arguments, protocol::kHitReply, shown);
  out = WriteText(protocol::WriteMetaText(out, "W"), protocol::kCrlf);
  if (asked.has('v')) out = WriteText(out, protocol::kCrlf);
  output_.Commit(out);
  return true;
}

// --- me ----------------------------------------------------------------------------------------

void MetaExecutor::Debug(const LineRequest& request, std::uint64_t hash) {
  counters_.Add(Stat::kCmdMeta);
  const slab::HashedKey key{.bytes = request.key, .hash = hash};
  const Presence presence = cache_.Visit(key, lane_, [&](const Item& item) {
    char* out = output_.Room(protocol::kMetaLineBytesMax);
    out = WriteText(out, protocol::kMetaDebug);
    const bool is_encoded = item.has_binary_key() || !protocol::IsTextKey(request.key);
    out = is_encoded ? protocol::EncodeBase64(out, request.key) : WriteText(out, request.key);
    out = WriteText(out, " exp=");
    if (!item.expiry().is_set()) {
      out = WriteText(out, "-1");
    } else {
      out =
          protocol::WriteDecimal(out, static_cast<std::uint64_t>(item.expiry().SecondsLeft(lane_)));
    }
    out = protocol::WriteDecimal(WriteText(out, " la="), item.idle_s(lane_.now_s));
    out = protocol::WriteDecimal(WriteText(out, " cas="), ShownCas(item.cas()));
    out = WriteText(out, item.was_fetched() ? " fetch=yes" : " fetch=no");
    out = protocol::WriteDecimal(WriteText(out, " cls="), cache_.ClassOf(item));
    out = protocol::WriteDecimal(WriteText(out, " size="), slab::Cache::ItemBytes(item));
    output_.Commit(WriteText(out, protocol::kCrlf));
  });
  if (presence == Presence::kHit) return;
  output_.Append(protocol::kMetaMissing);
  output_.Append(protocol::kCrlf);
}

}  // namespace larder::server
