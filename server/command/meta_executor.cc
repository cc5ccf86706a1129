// The command mg, and what all meta commands share. The commands that change items are in
// meta_changes.cc, explain is in explain_command.cc.
#include "server/command/meta_executor.h"

#include <algorithm>

#include "protocol/meta/meta_reply.h"
#include "protocol/text/text_reply.h"
#include "slab/check.h"

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

// The most bytes of a reply to a hit that are copied: larger values are pinned.
constexpr std::size_t kHitBytesMax = protocol::kMetaLineBytesMax + kPinBytesMin + kTailBytesMax;
// The flags that add something to the reply to a hit.
constexpr MetaFlagSet kHitFlags = protocol::FlagsIn(protocol::kHitReply);

}  // namespace

// mg comes first, so that retrievals pay for one comparison only.
void MetaExecutor::Execute(const LineRequest& request, std::uint64_t hash) {
  if (request.meta_verb == MetaVerb::kGet) [[likely]]
    return Get(request, hash);
  ExecuteRarer(request, hash);
}

void MetaExecutor::ExecuteRarer(const LineRequest& request, std::uint64_t hash) {
  switch (request.meta_verb) {
    case MetaVerb::kGet:
      LARDER_ASSERT(false && "executed by Execute()");
      return;
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

// While CAS is switched off every item shows 0, so a client may still name that.
std::optional<std::uint64_t> MetaExecutor::NamedCas(std::string_view arguments) const {
  const auto cas = protocol::MetaNumberOf(arguments, 'C');
  return cas && *cas != 0 && !shared_.config.use_cas ? kCasOfNoItem : cas;
}

std::optional<std::uint64_t> MetaExecutor::ChosenCas(std::string_view arguments) const {
  return shared_.config.use_cas ? protocol::MetaNumberOf(arguments, 'E') : std::nullopt;
}

char* MetaExecutor::WriteTimeLeft(char* out, slab::Expiry expiry) const {
  if (!expiry.is_set()) return protocol::WriteMetaText(out, "t-1");
  // The item may have expired in this second.
  const auto left_s = std::max<std::int64_t>(expiry.SecondsLeft(lane_), 0);
  return protocol::WriteMetaNumber(out, 't', static_cast<std::uint64_t>(left_s));
}

// One pass over the flags both writes the reply and applies the flags that change the item's state,
// because the protocol defines their effect by their order.
char* MetaExecutor::WriteFlags(char* out, std::string_view arguments, protocol::MetaReplies reply,
                               ShownItem& shown) const {
  LARDER_ASSERT(output_.HasRoom(out, 0));
  for (MetaFlags flags(arguments); flags.Next();) {
    const char letter = flags.letter();
    // Flags of other kinds of replies are skipped. The parser has refused unknown letters.
    LARDER_ASSERT(protocol::FindMetaFlag(letter) != nullptr);
    if ((protocol::FindMetaFlag(letter)->replies & reply) == 0) continue;
    // Evaluated only for the flags that have a time, since it counts an expiry.
    const auto expires_at = [&] {
      return SignedExpiresAt(protocol::ParseStrictInt32(flags.token()).value_or(0));
    };
    switch (letter) {
      case 'O':
        out = protocol::WriteMetaText(out, flags.text());
        break;
      case 'k':
        out = shown.is_key_encoded ? protocol::WriteEncodedMetaKey(out, shown.key)
                                   : protocol::WriteMetaKey(out, shown.key);
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
        out = WriteTimeLeft(out, shown.expiry);
        break;
      // Flags behind it show the new expiry.
      case 'T':
        shown.expiry = expires_at();
        break;
      // The expiry of an item that this request has created.
      case 'N':
        if (shown.is_new) shown.expiry = expires_at();
        break;
      // This client wins if the item is to expire sooner than the token says, and no other has won
      // before.
      case 'R':
        if (!shown.has_other_winner && !shown.is_new && shown.expiry.is_set()) {
          const slab::Expiry later = expires_at();
          shown.is_winner |=
              later.is_set() && shown.expiry.SecondsLeft(lane_) < later.SecondsLeft(lane_);
        }
        break;
      // The table has no other flag that appears in a reply.
      default:
        LARDER_ASSERT(letter == 'b' && "a flag of a reply that is not written");
        break;
    }
  }
  LARDER_ASSERT(output_.HasRoom(out, protocol::kCrlf.size()));
  return out;
}

// Used for all replies that have no item, since only a few flags appear in them.
void MetaExecutor::AnswerOther(std::string_view code, const LineRequest& request) {
  char* out = WriteText(output_.Room(protocol::kMetaLineBytesMax), code);
  ShownItem shown{.key = request.key, .is_key_encoded = request.flags.has('b')};
  out = WriteFlags(out, request.arguments, protocol::kOtherReply, shown);
  output_.Commit(WriteText(out, protocol::kCrlf));
}

// --- mg ----------------------------------------------------------------------------------------

// Inlined into both look-ups: a call would cost every mg.
template <class NoteUse>
[[gnu::always_inline]] inline char* MetaExecutor::WriteHit(Item& item, std::uint32_t value_bytes,
                                                           const LineRequest& request,
                                                           const NoteUse& note_use, char* out) {
  const MetaFlagSet asked = request.flags;
  bool has_value = asked.has('v');
  // The client already has this version of the value: it gets the flags only.
  if (asked.has('C') && NamedCas(request.arguments) == ShownCas(item.cas())) [[unlikely]]
    has_value = false;
  // A hit without its value has another code.
  if (has_value) {
    out = protocol::WriteDecimal(WriteText(out, protocol::kMetaValue), value_bytes);
  } else {
    out = WriteText(out, protocol::kMetaDone);
  }
  // Without such a flag or mark there is nothing to write, and the flags are not looked at.
  if (asked.has_any(kHitFlags) || item.is_stale_or_win_token_sent()) {
    out = WriteHitFlags(out, item, request);
  }
  out = WriteText(out, protocol::kCrlf);
  // The flag u asks for a retrieval that does not count as a use. The state before the use was
  // written already, and the value is copied after it.
  if (!asked.has('u')) [[likely]]
    note_use();
  if (!has_value) return out;
  return WriteText(WriteValue(item, value_bytes, out), protocol::kCrlf);
}

[[gnu::always_inline]] inline void MetaExecutor::Get(const LineRequest& request,
                                                     std::uint64_t hash) {
  if (request.flags.has('T')) [[unlikely]]
    return GetAndTouch(request, hash);
  // One check of the room suffices for the whole reply.
  char* out = output_.Room(kHitBytesMax);
  const auto write = [&](Item & item, std::uint32_t value_bytes, const auto& note_use)
      __attribute__((always_inline)) {
    out = WriteHit(item, value_bytes, request, note_use, out);
  };
  const Presence presence = Commands::Get({.bytes = request.key, .hash = hash}, write);
  // What was written into the room is not committed: nothing of it is sent.
  if (presence != Presence::kHit) return Miss(request, hash, presence);
  output_.Commit(out);
}

// Kept apart from Get(): in one function with it, retrievals without a touch would save registers
// for it.
void MetaExecutor::GetAndTouch(const LineRequest& request, std::uint64_t hash) {
  char* out = output_.Room(kHitBytesMax);
  const auto write = [&](Item& item, std::uint32_t value_bytes, const auto& note_use) {
    out = WriteHit(item, value_bytes, request, note_use, out);
  };
  // The writer sets the expiry, because the flags of the reply may show the one from before.
  const Presence presence = Commands::GetAndTouch<SetsExpiry::kWriter>(
      {.bytes = request.key, .hash = hash}, SignedExpiresAt(request.exptime), write);
  if (presence != Presence::kHit) return Miss(request, hash, presence);
  output_.Commit(out);
}

// Called under the bucket's lock: it reads and changes the item.
char* MetaExecutor::WriteHitFlags(char* out, Item& item, const LineRequest& request) const {
  // A key that a line cannot contain is written in base64.
  const bool is_key_encoded =
      request.flags.has('k') && (item.has_binary_key() || !protocol::IsTextKey(item.key()));
  // The state before this request counts as a use.
  ShownItem shown{.key = item.key(),
                  .is_key_encoded = is_key_encoded,
                  .value_bytes = item.value_bytes(),
                  .client_flags = item.client_flags(),
                  .expiry = item.expiry(),
                  .cas = item.cas(),
                  .idle_s = item.idle_s(lane_.now_s),
                  .was_fetched = item.was_fetched(),
                  .has_other_winner = item.is_win_token_sent()};
  out = WriteFlags(out, request.arguments, protocol::kHitReply, shown);
  // Without a flag T this is the expiry that the item has. With it, VisitToExpire() has made sure
  // that the item has the room.
  const bool has_room = item.SetExpiry(shown.expiry);
  LARDER_ASSERT(has_room);
  // Z: another client has won before. X: the value is stale. W: this client has won: it is the one
  // that should store the next value. A stale item is won by the first client that reads it.
  if (shown.has_other_winner) out = protocol::WriteMetaText(out, "Z");
  if (item.is_stale()) {
    out = protocol::WriteMetaText(out, "X");
    shown.is_winner |= !shown.has_other_winner;
  }
  if (shown.is_winner) {
    out = protocol::WriteMetaText(out, "W");
    // From now on other clients get Z, until the value is stored again.
    item.set_win_token_sent();
  }
  return out;
}

void MetaExecutor::Miss(const LineRequest& request, std::uint64_t hash, Presence presence) {
  LARDER_ASSERT(presence != Presence::kHit);
  // The item is there, but there is no memory for its expiry.
  if (presence == Presence::kNoRoom) return output_.Append(protocol::kNoMemory);
  const MetaFlagSet asked = request.flags;
  const Operation operation = asked.has('T') ? Operation::kGetAndTouch : Operation::kGet;
  // The cluster's configuration comes before an item that the request would create.
  const auto cluster = FindCluster(request.key, operation);
  if (cluster != nullptr) return AnswerCluster(request, *cluster);
  // Creating the item counts as a hit and not as a miss.
  if (asked.has('N') && CreateEmpty(request, hash)) return;
  ReportPlainMiss(request.key, operation, presence);
  // A quiet request gets no reply to a miss.
  if (!asked.has('q')) AnswerOther(protocol::kMetaMissing, request);
}

// The configuration is sent like the value of an item that was never fetched and whose CAS is the
// version of the configuration.
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

// The flags T and N both set the expiry of a new item, in the order of the request. The reply that
// WriteFlags() produces is thrown away: the room is not committed.
slab::Expiry MetaExecutor::ExpiryOfNew(const LineRequest& request, protocol::MetaReplies reply) {
  ShownItem shown{.key = request.key, .is_key_encoded = true, .is_new = true};
  char* const scratch = output_.Room(protocol::kMetaLineBytesMax);
  (void)WriteFlags(scratch, request.arguments, reply, shown);
  return shown.expiry;
}

bool MetaExecutor::CreateEmpty(const LineRequest& request, std::uint64_t hash) {
  const MetaFlagSet asked = request.flags;
  // Stored as an add, so that an item that another client has stored meanwhile stays. The mark
  // shows other clients that one of them is about to store the value.
  const StorePlan plan{.spec = {.key = {.bytes = request.key, .hash = hash},
                                .expiry = ExpiryOfNew(request, protocol::kHitReply)},
                       .terms = {.mode = StoreMode::kAdd},
                       .chosen_cas = ChosenCas(request.arguments),
                       .mark = slab::ItemMark::kWinTokenSent};
  const slab::StoreOutcome outcome = StoreUnreported(plan, {});
  if (outcome.status == StoreStatus::kNotStored) {
    // Another client has created the item first: now the request finds it.
    Execute(request, hash);
    return true;
  }
  // The caller replies with a miss.
  if (outcome.status != StoreStatus::kStored) return false;
  // The request counts as a hit of the item that it has created, although it has found none.
  observers_.Report({.operation = asked.has('T') ? Operation::kGetAndTouch : Operation::kGet,
                     .presence = Presence::kMiss,
                     .class_id = outcome.class_id});
  char* out = output_.Room(protocol::kMetaLineBytesMax);
  out = WriteText(out, asked.has('v') ? "VA 0" : protocol::kMetaDone);
  ShownItem shown{.key = request.key,
                  .is_key_encoded = !protocol::IsTextKey(request.key),
                  .cas = outcome.cas,
                  .is_new = true};
  out = WriteFlags(out, request.arguments, protocol::kHitReply, shown);
  // The client that has created the item is the one that should store its value.
  out = WriteText(protocol::WriteMetaText(out, "W"), protocol::kCrlf);
  if (asked.has('v')) out = WriteText(out, protocol::kCrlf);
  output_.Commit(out);
  return true;
}

// --- me ----------------------------------------------------------------------------------------

// me is meant for debugging: its reply always has the same fields, those of memcached.
void MetaExecutor::Debug(const LineRequest& request, std::uint64_t hash) {
  counters_.Add(Stat::kCmdMeta);
  const slab::HashedKey key{.bytes = request.key, .hash = hash};
  // The item is only read: the request does not count as a use.
  Outcome shown{.operation = Operation::kDebug, .result = CommandResult::kMiss};
  shown.presence = cache_.Visit(key, lane_, [&](const Item& item) {
    shown.result = CommandResult::kDone;
    shown.value_bytes = item.value_bytes();
    shown.class_id = cache_.ClassOf(item);
    char* out = output_.Room(protocol::kMetaLineBytesMax);
    out = WriteText(out, protocol::kMetaDebug);
    // A key that a line cannot contain is written in base64.
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
    out = protocol::WriteDecimal(WriteText(out, " size="), item.item_bytes());
    output_.Commit(WriteText(out, protocol::kCrlf));
  });
  observers_.Report(shown);
  if (shown.presence == Presence::kHit) return;
  // As in memcached, a miss repeats neither the key nor the opaque.
  output_.Append(protocol::kMetaMissing);
  output_.Append(protocol::kCrlf);
}

}  // namespace larder::server
