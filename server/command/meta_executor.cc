// What the meta commands mean. How their flags are written in a line is in
// protocol/meta/meta_flags.h.
#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "protocol/meta/meta_reply.h"
#include "protocol/text/text_reply.h"
#include "server/command/text_executor.h"
#include "slab/race_hook.h"

namespace larder::server {
namespace {

using protocol::MetaFlags;
using protocol::MetaFlagSet;
using protocol::Request;
using protocol::WriteText;
using slab::ClassStat;
using slab::Item;
using slab::Presence;
using slab::Room;
using slab::StoreMode;
using slab::StoreStatus;

constexpr std::uint64_t kNoSuchCas = std::numeric_limits<std::uint64_t>::max();
constexpr MetaFlagSet kHitFlags = protocol::FlagsIn(protocol::kHitReply);
constexpr std::uint32_t kMarks = Item::kIsStale | Item::kIsWon;

MetaFlagSet FlagsOf(const Request& request) { return MetaFlagSet(request.number); }

// What a mode token of ms stores as.
StoreMode SetModeOf(std::string_view arguments) {
  const auto token = protocol::MetaTokenOf(arguments, 'M');
  switch (token ? token->front() : 'S') {
    case 'E':
      return StoreMode::kAdd;
    case 'A':
      return StoreMode::kAppend;
    case 'P':
      return StoreMode::kPrepend;
    case 'R':
      return StoreMode::kReplace;
    default:
      return StoreMode::kSet;
  }
}

std::string_view CodeOf(StoreStatus status) {
  switch (status) {
    case StoreStatus::kStored:
      return protocol::kMetaDone;
    case StoreStatus::kNotStored:
    case StoreStatus::kForbidden:
      return protocol::kMetaNotStored;
    case StoreStatus::kExists:
      return protocol::kMetaExists;
    case StoreStatus::kNotFound:
      return protocol::kMetaNotFound;
    case StoreStatus::kTooLarge:
    case StoreStatus::kNoMemory:
      break;  // Errors: these have no code.
  }
  return {};
}

}  // namespace

// An item as the flags of a reply show it. Those that change it do so where they stand.
struct Executor::ShownItem {
  std::string_view key = {};
  bool is_key_encoded = false;
  std::uint32_t value_bytes = 0;
  std::uint32_t client_flags = 0;
  slab::Expiry expiry = {};
  std::uint64_t cas = 0;
  std::uint32_t idle_s = 0;
  bool was_fetched = false;
  bool is_new = false;  // Created by this command.
  bool is_won = false;  // Another client has won before.
  bool wins = false;
};

std::optional<std::uint64_t> Executor::NamedCas(std::string_view arguments) const {
  const auto cas = protocol::MetaNumberOf(arguments, 'C');
  return cas && *cas != 0 && !shared_.config.use_cas ? kNoSuchCas : cas;
}

std::optional<std::uint64_t> Executor::ChosenCas(std::string_view arguments) const {
  return shared_.config.use_cas ? protocol::MetaNumberOf(arguments, 'E') : std::nullopt;
}

// The flags of a reply, in the order of the request.
char* Executor::WriteFlags(char* out, std::string_view arguments, protocol::MetaReplies reply,
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
void Executor::AnswerOther(std::string_view code, const Request& request) {
  char* out = WriteText(output_.Room(protocol::kMetaLineBytesMax), code);
  ShownItem shown{.key = request.key, .is_key_encoded = FlagsOf(request).has('b')};
  out = WriteFlags(out, request.arguments, protocol::kOtherReply, shown);
  output_.Commit(WriteText(out, protocol::kCrlf));
}

// --- mg ----------------------------------------------------------------------------------------

// Inlined into both visits, as WriteHit().
[[gnu::always_inline]] inline char* Executor::WriteMetaHit(Item& item, const Request& request,
                                                           ClassStat stat, char* out) {
  const MetaFlagSet asked = FlagsOf(request);
  const std::uint32_t value_bytes = item.value_bytes();
  bool has_value = asked.has('v');
  if (asked.has('C') && NamedCas(request.arguments) == ShownCas(item.cas())) [[unlikely]]
    has_value = false;
  if (has_value) {
    out = protocol::WriteDecimal(WriteText(out, protocol::kMetaValue), value_bytes);
  } else {
    out = WriteText(out, protocol::kMetaDone);
  }
  if (asked.has_any(kHitFlags) || (item.size_and_state & kMarks) != 0) {
    out = WriteHitFlags(out, item, request);
  }
  out = WriteText(out, protocol::kCrlf);
  if (!asked.has('u')) [[likely]] {
    CountHit(item, stat);
  } else {
    lane_.classes[cache_.ClassOf(item)].Add(stat);
  }
  if (!has_value) return out;
  return WriteText(WriteValue(item, value_bytes, out), protocol::kCrlf);
}

void Executor::MetaGet(const Request& request, std::uint64_t hash) {
  const MetaFlagSet asked = FlagsOf(request);
  char* out = output_.Room(protocol::kMetaLineBytesMax + kPinBytesMin + kTailBytesMax);
  const slab::HashedKey key{.bytes = request.key, .hash = hash};
  Presence presence = Presence::kMiss;
  if (asked.has('T')) [[unlikely]] {
    presence = VisitToExpire(key, SignedExpiresAt(request.exptime), [&](Item& item) {
      out = WriteMetaHit(item, request, ClassStat::kTouchHits, out);
    });
  } else {
    presence = cache_.Visit(key, lane_, [&](Item& item) {
      out = WriteMetaHit(item, request, ClassStat::kGetHits, out);
    });
  }
  if (presence != Presence::kHit) return MetaGetMissed(request, hash, presence);
  // As memcached: with T it is a touch.
  if (asked.has('T')) counters_.Add(Stat::kCmdTouch);
  output_.Commit(out);
}

// What a hit shows, before it counts as one; then the marks.
char* Executor::WriteHitFlags(char* out, Item& item, const Request& request) const {
  const bool is_key_encoded =
      FlagsOf(request).has('k') && (item.has_binary_key() || !protocol::IsTextKey(item.key()));
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
    item.size_and_state |= Item::kIsWon;
  }
  return out;
}

[[gnu::noinline]] void Executor::MetaGetMissed(const Request& request, std::uint64_t hash,
                                               Presence presence) {
  if (presence == Presence::kNoRoom) return output_.Append(protocol::kNoMemory);
  const auto cluster = ClusterUnder(request.key);
  if (cluster != nullptr) return AnswerCluster(request, *cluster);
  const MetaFlagSet asked = FlagsOf(request);
  if (asked.has('N') && CreateEmpty(request, hash)) return;
  CountMiss(request.key, presence, Stat::kGetMisses);
  if (!asked.has('q')) AnswerOther(protocol::kMetaMissing, request);
}

// As an item that was never fetched, and whose CAS is the version.
void Executor::AnswerCluster(const Request& request, const ClusterSnapshot& cluster) {
  counters_.Add(Stat::kCmdConfigGet);
  const MetaFlagSet asked = FlagsOf(request);
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

// An item without a value, for this client to fill. False if there is no memory.
bool Executor::CreateEmpty(const Request& request, std::uint64_t hash) {
  const MetaFlagSet asked = FlagsOf(request);
  char* out = output_.Room(protocol::kMetaLineBytesMax);
  const bool is_key_encoded = !protocol::IsTextKey(request.key);
  ShownItem shown{.key = request.key, .is_key_encoded = is_key_encoded, .is_new = true};
  (void)WriteFlags(out, request.arguments, protocol::kHitReply, shown);  // For its expiry.
  const StorePlan plan{
      .spec = {.key = {.bytes = request.key, .hash = hash}, .expiry = shown.expiry},
      .terms = {.mode = StoreMode::kAdd},
      .chosen_cas = ChosenCas(request.arguments),
      .state = Item::kIsWon};
  const slab::StoreOutcome outcome = StorePlanned(plan, {});
  if (outcome.status == StoreStatus::kNotStored) {
    MetaGet(request, hash);  // Somebody else was quicker.
    return true;
  }
  if (outcome.status != StoreStatus::kStored) return false;
  lane_.classes[outcome.class_id].Add(asked.has('T') ? ClassStat::kTouchHits : ClassStat::kGetHits);
  if (asked.has('T')) counters_.Add(Stat::kCmdTouch);
  out = WriteText(out, asked.has('v') ? "VA 0" : protocol::kMetaDone);
  shown = {
      .key = request.key, .is_key_encoded = is_key_encoded, .cas = outcome.cas, .is_new = true};
  out = WriteFlags(out, request.arguments, protocol::kHitReply, shown);
  out = WriteText(protocol::WriteMetaText(out, "W"), protocol::kCrlf);
  if (asked.has('v')) out = WriteText(out, protocol::kCrlf);
  output_.Commit(out);
  return true;
}

// --- ms ----------------------------------------------------------------------------------------

StorePlan Executor::PlanMetaStore(const Request& request, std::uint64_t hash) const {
  const MetaFlagSet asked = FlagsOf(request);
  StorePlan plan{.spec = SpecOf(request, hash)};
  if (asked.has('M')) plan.terms.mode = SetModeOf(request.arguments);
  if (asked.has('b')) plan.state = Item::kHasBinaryKey;
  const auto chosen_cas = asked.has('E') ? ChosenCas(request.arguments) : std::nullopt;
  if (chosen_cas && *chosen_cas != 0) plan.chosen_cas = chosen_cas;  // As memcached, 0 is none.
  const StoreMode mode = plan.terms.mode;
  if (mode == StoreMode::kAppend || mode == StoreMode::kPrepend) {
    // Flags and expiry count only where there is nothing to join with.
    const auto exptime =
        asked.has('N') ? protocol::MetaExptimeOf(request.arguments, 'N') : std::nullopt;
    plan.terms.creates = exptime.has_value();
    plan.spec.expiry = SignedExpiresAt(exptime.value_or(0));
  }
  if (!asked.has('C')) return plan;
  plan.terms.cas_unique = NamedCas(request.arguments).value_or(0);
  if (mode == StoreMode::kSet || mode == StoreMode::kReplace) {
    plan.terms.mode = StoreMode::kCas;
    plan.terms.is_stale_allowed = asked.has('I') && shared_.config.use_cas;
    plan.spec.has_expiry_room = plan.terms.is_stale_allowed;
  }
  return plan;
}

void Executor::MetaSet(const Request& request, std::uint64_t hash) {
  const StorePlan plan = PlanMetaStore(request, hash);
  AnswerMetaStore(plan, StorePlanned(plan, request.value), request.arguments);
}

void Executor::AnswerMetaStore(const StorePlan& plan, const slab::StoreOutcome& outcome,
                               std::string_view arguments) {
  if (outcome.status == StoreStatus::kTooLarge || outcome.status == StoreStatus::kNoMemory) {
    // The old value would be stale now.
    cache_.DropRefused(plan.spec.key, outcome.status, lane_);
    const bool is_too_large = outcome.status == StoreStatus::kTooLarge;
    counters_.Add(is_too_large ? Stat::kStoreTooLarge : Stat::kStoreNoMemory);
    return output_.Append(is_too_large ? protocol::kTooLarge : protocol::kNoMemoryStoring);
  }
  CountStore(plan.terms.mode, outcome);
  const bool is_stored = outcome.status == StoreStatus::kStored;
  if (is_stored && protocol::MetaTokenOf(arguments, 'q')) return;
  const bool is_joined = is_stored && (plan.terms.mode == StoreMode::kAppend ||
                                       plan.terms.mode == StoreMode::kPrepend);
  ShownItem shown{.key = plan.spec.key.bytes,
                  .is_key_encoded = plan.state != 0,
                  .value_bytes = is_joined ? outcome.joined_bytes : plan.spec.value_bytes,
                  .cas = outcome.cas};
  char* out = WriteText(output_.Room(protocol::kMetaLineBytesMax), CodeOf(outcome.status));
  out = WriteFlags(out, arguments, protocol::kStoreReply, shown);
  output_.Commit(WriteText(out, protocol::kCrlf));
}

// --- md ----------------------------------------------------------------------------------------

void Executor::MetaDelete(const Request& request, std::uint64_t hash) {
  const MetaFlagSet asked = FlagsOf(request);
  std::string_view code = protocol::kMetaDone;
  if (asked.has('x')) {
    code = Empty(request, hash);
  } else if (asked.has('I')) {
    code = Invalidate(request, hash);
  } else {
    const slab::HashedKey key{.bytes = request.key, .hash = hash};
    auto cas = asked.has('C') ? NamedCas(request.arguments) : std::nullopt;
    if (!shared_.config.use_cas && cas == 0) cas.reset();  // Then it is what every item shows.
    slab::DeleteOutcome outcome;
    if (cas) {
      outcome = cache_.DeleteIfUnchanged(key, *cas, lane_);
    } else if (const auto class_id = cache_.Delete(key, lane_)) {
      outcome = {.status = slab::DeleteStatus::kDeleted, .class_id = *class_id};
    }
    switch (outcome.status) {
      case slab::DeleteStatus::kDeleted:
        lane_.classes[outcome.class_id].Add(ClassStat::kDeleteHits);
        break;
      case slab::DeleteStatus::kNotFound:
        code = protocol::kMetaNotFound;
        break;
      case slab::DeleteStatus::kExists:
        code = protocol::kMetaExists;
        break;
    }
  }
  if (code == protocol::kNoMemory) return output_.Append(code);
  if (code != protocol::kMetaDone) {
    counters_.Add(Stat::kDeleteMisses);  // As memcached: of a mismatch, too.
  } else if (asked.has('q')) {
    return;
  }
  AnswerOther(code, request);
}

// Marks an item as stale. Returns the code of the reply, or an error line.
std::string_view Executor::Invalidate(const Request& request, std::uint64_t hash) {
  const slab::HashedKey key{.bytes = request.key, .hash = hash};
  const auto named_cas = NamedCas(request.arguments);
  const auto chosen_cas = ChosenCas(request.arguments);
  const auto expiry =
      FlagsOf(request).has('T') ? std::optional(SignedExpiresAt(request.exptime)) : std::nullopt;
  // Another round is needed only if another client has replaced the item meanwhile.
  for (;;) {
    std::string_view code = protocol::kMetaNotFound;
    Room missing_room = Room::kNone;
    (void)cache_.Visit(key, lane_, [&](Item& item) {
      code = protocol::kMetaExists;
      if (named_cas && *named_cas != ShownCas(item.cas())) return;
      missing_room = Renew(item, chosen_cas, expiry);
      if (missing_room != Room::kNone) return;
      item.size_and_state = (item.size_and_state & ~Item::kIsWon) | Item::kIsStale;
      code = protocol::kMetaDone;
    });
    if (missing_room == Room::kNone) return code;
    if (AddRoom(missing_room, key) == slab::RoomStatus::kNoMemory) {
      return protocol::kNoMemory;
    }
  }
}

// Takes an item's value away. Returns the code of the reply, or an error line.
std::string_view Executor::Empty(const Request& request, std::uint64_t hash) {
  const bool makes_stale = FlagsOf(request).has('I');
  const auto named_cas = NamedCas(request.arguments);
  StorePlan plan{.spec = SpecOf(request, hash),
                 .terms = {.mode = StoreMode::kUnchanged},
                 .state = makes_stale ? Item::kIsStale : 0};
  // Another round is needed only if another client has changed the item meanwhile.
  for (;;) {
    bool is_other = false;
    const Presence presence = cache_.Visit(plan.spec.key, lane_, [&](Item& item) {
      is_other = named_cas && *named_cas != ShownCas(item.cas());
      plan.terms.cas_unique = item.number();
      // Unless it becomes stale, its CAS stays.
      plan.chosen_cas = ChosenCas(request.arguments);
      if (!plan.chosen_cas && !makes_stale) plan.chosen_cas = item.cas();
    });
    if (presence != Presence::kHit) return protocol::kMetaNotFound;
    if (is_other) return protocol::kMetaExists;
    slab::RaceHook::Reach(slab::RacePoint::kStoreSeen);
    const slab::StoreOutcome outcome = StorePlanned(plan, {});
    if (outcome.status == StoreStatus::kStored) return protocol::kMetaDone;
    if (outcome.status != StoreStatus::kExists && outcome.status != StoreStatus::kNotFound) {
      return protocol::kNoMemory;
    }
  }
}

// --- ma ----------------------------------------------------------------------------------------

void Executor::MetaArithmetic(const Request& request, std::uint64_t hash) {
  const MetaFlagSet asked = FlagsOf(request);
  const std::string_view arguments = request.arguments;
  const auto mode = protocol::MetaTokenOf(arguments, 'M');
  const bool is_incr = !mode || mode->front() == 'I' || mode->front() == '+';
  NumberChange change{.is_incr = is_incr,
                      .delta = protocol::MetaNumberOf(arguments, 'D').value_or(1),
                      .cas_unique = NamedCas(arguments).value_or(0),
                      .chosen_cas = ChosenCas(arguments)};
  if (asked.has('T')) change.expiry = SignedExpiresAt(request.exptime);
  // Another round is needed only if another client has stored the key meanwhile, and yet another
  // has removed it again.
  for (;;) {
    const ChangeOutcome outcome = Change({.bytes = request.key, .hash = hash}, change);
    switch (outcome.status) {
      case ChangeStatus::kChanged: {
        ShownItem shown{.key = request.key,
                        .is_key_encoded = asked.has('b'),
                        .expiry = outcome.expiry,
                        .cas = outcome.cas};
        return AnswerNumber(request, outcome.number, shown);
      }
      case ChangeStatus::kMiss:
        if (!asked.has('N')) {
          counters_.Add(is_incr ? Stat::kIncrMisses : Stat::kDecrMisses);
          return AnswerOther(protocol::kMetaNotFound, request);
        }
        if (CreateNumber(request, hash)) return;
        break;  // Somebody else was quicker.
      case ChangeStatus::kExists:
        return AnswerOther(protocol::kMetaExists, request);
      case ChangeStatus::kNotNumeric:
        return output_.Append(protocol::kNonNumeric);
      case ChangeStatus::kNoMemory:
        return output_.Append(protocol::kNoMemory);
    }
  }
}

// Stores the initial value. False if there is an item by now.
bool Executor::CreateNumber(const Request& request, std::uint64_t hash) {
  const std::uint64_t initial = protocol::MetaNumberOf(request.arguments, 'J').value_or(0);
  std::array<char, protocol::kDecimalBytesMax> text;
  const char* const end = protocol::WriteDecimal(text.data(), initial);
  ShownItem shown{.key = request.key, .is_key_encoded = FlagsOf(request).has('b'), .is_new = true};
  char* const scratch = output_.Room(protocol::kMetaLineBytesMax);
  (void)WriteFlags(scratch, request.arguments, protocol::kChangeReply, shown);  // For its expiry.
  const StorePlan plan{.spec = {.key = {.bytes = request.key, .hash = hash},
                                .expiry = shown.expiry,
                                .value_bytes = static_cast<std::uint32_t>(end - text.data())},
                       .terms = {.mode = StoreMode::kAdd},
                       .chosen_cas = ChosenCas(request.arguments)};
  const slab::StoreOutcome outcome = StorePlanned(plan, {text.data(), end});
  if (outcome.status == StoreStatus::kNotStored) return false;
  if (outcome.status == StoreStatus::kForbidden) {
    AnswerOther(protocol::kMetaNotFound, request);
    return true;
  }
  if (outcome.status != StoreStatus::kStored) {
    output_.Append(protocol::kNoMemoryCreating);
    return true;
  }
  shown.cas = outcome.cas;
  shown.expiry = {};
  AnswerNumber(request, initial, shown);
  return true;
}

void Executor::AnswerNumber(const Request& request, std::uint64_t number, ShownItem& shown) {
  const MetaFlagSet asked = FlagsOf(request);
  if (asked.has('q')) return;
  std::array<char, protocol::kDecimalBytesMax> text;
  const std::string_view digits(text.data(), protocol::WriteDecimal(text.data(), number));
  char* out = output_.Room(protocol::kMetaLineBytesMax + digits.size() + protocol::kCrlf.size());
  if (asked.has('v')) {
    out = protocol::WriteDecimal(WriteText(out, protocol::kMetaValue), digits.size());
  } else {
    out = WriteText(out, protocol::kMetaDone);
  }
  out = WriteFlags(out, request.arguments, protocol::kChangeReply, shown);
  out = WriteText(out, protocol::kCrlf);
  if (asked.has('v')) out = WriteText(WriteText(out, digits), protocol::kCrlf);
  output_.Commit(out);
}

// --- me ----------------------------------------------------------------------------------------

void Executor::MetaDebug(const Request& request, std::uint64_t hash) {
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
