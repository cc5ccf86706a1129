// What the meta commands mean. How their flags are written in a line is in
// protocol/meta/meta_flags.h.
#include "server/command/meta_executor.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

#include "protocol/meta/meta_reply.h"
#include "protocol/text/text_reply.h"
#include "slab/race_hook.h"

namespace larder::server {
namespace {

using protocol::MetaFlags;
using protocol::MetaFlagSet;
using protocol::Request;
using protocol::Verb;
using protocol::WriteText;
using slab::Item;
using slab::Presence;
using slab::Room;
using slab::StoreMode;
using slab::StoreStatus;

constexpr std::uint64_t kNoSuchCas = std::numeric_limits<std::uint64_t>::max();
constexpr MetaFlagSet kHitFlags = protocol::FlagsIn(protocol::kHitReply);

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

void MetaExecutor::Execute(const Request& request, std::uint64_t hash) {
  switch (request.verb) {
    case Verb::kMg:
      return Get(request, hash);
    case Verb::kMs:
      return Set(request, hash);
    case Verb::kMd:
      return Delete(request, hash);
    case Verb::kMa:
      return Arithmetic(request, hash);
    case Verb::kMe:
      return Debug(request, hash);
    case Verb::kExplain:
      return Explain(request, hash);
    default:
      return;
  }
}

// An item as the flags of a reply show it. Those that change it do so where they stand.
struct MetaExecutor::ShownItem {
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
void MetaExecutor::AnswerOther(std::string_view code, const Request& request) {
  char* out = WriteText(output_.Room(protocol::kMetaLineBytesMax), code);
  ShownItem shown{.key = request.key, .is_key_encoded = FlagsOf(request).has('b')};
  out = WriteFlags(out, request.arguments, protocol::kOtherReply, shown);
  output_.Commit(WriteText(out, protocol::kCrlf));
}

// --- mg ----------------------------------------------------------------------------------------

// Inlined into both look-ups, as that of text.
[[gnu::always_inline]] inline char* MetaExecutor::WriteHit(Item& item, const Request& request,
                                                           char* out) {
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
  if (asked.has_any(kHitFlags) || item.is_stale_or_won()) {
    out = WriteHitFlags(out, item, request);
  }
  out = WriteText(out, protocol::kCrlf);
  if (!has_value) return out;
  return WriteText(WriteValue(item, value_bytes, out), protocol::kCrlf);
}

void MetaExecutor::Get(const Request& request, std::uint64_t hash) {
  const MetaFlagSet asked = FlagsOf(request);
  char* out = output_.Room(protocol::kMetaLineBytesMax + kPinBytesMin + kTailBytesMax);
  const GetCommand get{.key = {.bytes = request.key, .hash = hash},
                       .counts_as_use = !asked.has('u')};
  const auto write = [&](Item& item) { out = WriteHit(item, request, out); };
  Presence presence = Presence::kMiss;
  if (asked.has('T')) [[unlikely]] {
    presence =
        Commands::GetAndTouch<SetsExpiry::kCodec>(get, SignedExpiresAt(request.exptime), write);
  } else {
    presence = Commands::Get(get, write);
  }
  if (presence != Presence::kHit) return Miss(request, hash, presence);
  output_.Commit(out);
}

// What a hit shows, before it counts as one; then the marks.
char* MetaExecutor::WriteHitFlags(char* out, Item& item, const Request& request) const {
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
    item.set_won();
  }
  return out;
}

void MetaExecutor::Miss(const Request& request, std::uint64_t hash, Presence presence) {
  if (presence == Presence::kNoRoom) return output_.Append(protocol::kNoMemory);
  const MetaFlagSet asked = FlagsOf(request);
  const Operation operation = asked.has('T') ? Operation::kGetAndTouch : Operation::kGet;
  const auto cluster = SeeCluster(request.key, operation);
  if (cluster != nullptr) return AnswerCluster(request, *cluster);
  if (asked.has('N') && CreateEmpty(request, hash)) return;
  SeePlainMiss(request.key, operation, presence);
  if (!asked.has('q')) AnswerOther(protocol::kMetaMissing, request);
}

// As an item that was never fetched, and whose CAS is the version.
void MetaExecutor::AnswerCluster(const Request& request, const ClusterSnapshot& cluster) {
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

// The expiry that an item gets which the request creates.
slab::Expiry MetaExecutor::ExpiryOfNew(const Request& request, protocol::MetaReplies reply) {
  ShownItem shown{.key = request.key, .is_key_encoded = true, .is_new = true};
  char* const scratch = output_.Room(protocol::kMetaLineBytesMax);
  (void)WriteFlags(scratch, request.arguments, reply, shown);
  return shown.expiry;
}

// An item without a value, for this client to fill. False if there is no memory.
bool MetaExecutor::CreateEmpty(const Request& request, std::uint64_t hash) {
  const MetaFlagSet asked = FlagsOf(request);
  const StorePlan plan{.spec = {.key = {.bytes = request.key, .hash = hash},
                                .expiry = ExpiryOfNew(request, protocol::kHitReply)},
                       .terms = {.mode = StoreMode::kAdd},
                       .chosen_cas = ChosenCas(request.arguments),
                       .mark = slab::ItemMark::kWon};
  const slab::StoreOutcome outcome = StoreUnseen(plan, {});
  if (outcome.status == StoreStatus::kNotStored) {
    Get(request, hash);  // Another client was quicker.
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

// --- ms ----------------------------------------------------------------------------------------

slab::ItemSpec MetaExecutor::SpecOf(const Request& request, std::uint64_t hash) const {
  return {.key = {.bytes = request.key, .hash = hash},
          .client_flags = request.client_flags,
          .expiry = SignedExpiresAt(request.exptime),
          .value_bytes = request.value_bytes};
}

StorePlan MetaExecutor::PlanStore(const Request& request, std::uint64_t hash) const {
  const MetaFlagSet asked = FlagsOf(request);
  // Whatever its mode: the old value would be out of date.
  StorePlan plan{.spec = SpecOf(request, hash), .if_refused = OldItem::kIsRemoved};
  if (asked.has('M')) plan.terms.mode = SetModeOf(request.arguments);
  if (asked.has('b')) plan.mark = slab::ItemMark::kBinaryKey;
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

void MetaExecutor::Set(const Request& request, std::uint64_t hash) {
  const StorePlan plan = PlanStore(request, hash);
  AnswerStore(plan, Store(plan, request.value), request.arguments);
}

std::unique_ptr<Upload> MetaExecutor::BeginUpload(const Request& request, std::uint64_t hash) {
  auto upload = std::make_unique<Upload>(request, PlanStore(request, hash));
  const auto refusal = RefusalOf(*upload);
  if (!refusal) return upload;
  AnswerStore(upload->plan(), {.status = *refusal}, request.arguments);
  return nullptr;
}

bool MetaExecutor::ReserveUpload(Upload& upload, UploadMemory::Share share) {
  const auto refusal = ReserveRoom(upload, std::move(share));
  if (refusal) AnswerStore(upload.plan(), {.status = *refusal}, upload.arguments);
  return !refusal;
}

void MetaExecutor::FinishUpload(Upload& upload) {
  AnswerStore(upload.plan(), Store(upload), upload.arguments);
}

void MetaExecutor::AnswerStore(const StorePlan& plan, const slab::StoreOutcome& outcome,
                               std::string_view arguments) {
  if (outcome.status == StoreStatus::kTooLarge) return output_.Append(protocol::kTooLarge);
  if (outcome.status == StoreStatus::kNoMemory) return output_.Append(protocol::kNoMemoryStoring);
  const bool is_stored = outcome.status == StoreStatus::kStored;
  if (is_stored && protocol::MetaTokenOf(arguments, 'q')) return;
  const bool is_joined = is_stored && (plan.terms.mode == StoreMode::kAppend ||
                                       plan.terms.mode == StoreMode::kPrepend);
  ShownItem shown{.key = plan.spec.key.bytes,
                  .is_key_encoded = plan.mark == slab::ItemMark::kBinaryKey,
                  .value_bytes = is_joined ? outcome.joined_bytes : plan.spec.value_bytes,
                  .cas = outcome.cas};
  char* out = WriteText(output_.Room(protocol::kMetaLineBytesMax), CodeOf(outcome.status));
  out = WriteFlags(out, arguments, protocol::kStoreReply, shown);
  output_.Commit(WriteText(out, protocol::kCrlf));
}

// --- md ----------------------------------------------------------------------------------------

void MetaExecutor::Delete(const Request& request, std::uint64_t hash) {
  const MetaFlagSet asked = FlagsOf(request);
  if (asked.has('x') || asked.has('I')) {
    const CommandResult result = asked.has('x') ? Empty(request, hash) : Invalidate(request, hash);
    observers_.See({.operation = Operation::kInvalidate, .result = result});
    return AnswerDelete(request, result);
  }
  auto cas = asked.has('C') ? NamedCas(request.arguments) : std::nullopt;
  if (!shared_.config.use_cas && cas == 0) cas.reset();  // Then it is what every item shows.
  AnswerDelete(request, Commands::Delete({.bytes = request.key, .hash = hash}, cas));
}

void MetaExecutor::AnswerDelete(const Request& request, CommandResult result) {
  switch (result) {
    case CommandResult::kDone:
      if (FlagsOf(request).has('q')) return;
      return AnswerOther(protocol::kMetaDone, request);
    case CommandResult::kMiss:
      return AnswerOther(protocol::kMetaNotFound, request);
    case CommandResult::kExists:
      return AnswerOther(protocol::kMetaExists, request);
    default:
      return output_.Append(protocol::kNoMemory);
  }
}

// Marks an item as stale.
CommandResult MetaExecutor::Invalidate(const Request& request, std::uint64_t hash) {
  const slab::HashedKey key{.bytes = request.key, .hash = hash};
  const auto named_cas = NamedCas(request.arguments);
  const auto chosen_cas = ChosenCas(request.arguments);
  const auto expiry =
      FlagsOf(request).has('T') ? std::optional(SignedExpiresAt(request.exptime)) : std::nullopt;
  // Another round is needed only if another client has replaced the item meanwhile.
  for (;;) {
    CommandResult result = CommandResult::kMiss;
    Room missing_room = Room::kNone;
    (void)cache_.Visit(key, lane_, [&](Item& item) {
      result = CommandResult::kExists;
      if (named_cas && *named_cas != ShownCas(item.cas())) return;
      missing_room = Renew(item, chosen_cas, expiry);
      if (missing_room != Room::kNone) return;
      item.MakeStale();
      result = CommandResult::kDone;
    });
    if (missing_room == Room::kNone) return result;
    if (AddRoom(missing_room, key) == slab::RoomStatus::kNoMemory) return CommandResult::kNoMemory;
  }
}

// Takes an item's value away.
CommandResult MetaExecutor::Empty(const Request& request, std::uint64_t hash) {
  const bool makes_stale = FlagsOf(request).has('I');
  const auto named_cas = NamedCas(request.arguments);
  StorePlan plan{.spec = SpecOf(request, hash),
                 .terms = {.mode = StoreMode::kUnchanged},
                 .mark = makes_stale ? slab::ItemMark::kStale : slab::ItemMark::kNone};
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
    if (presence != Presence::kHit) return CommandResult::kMiss;
    if (is_other) return CommandResult::kExists;
    slab::RaceHook::Reach(slab::RacePoint::kStoreSeen);
    const slab::StoreOutcome outcome = StoreUnseen(plan, {});
    if (outcome.status == StoreStatus::kStored) return CommandResult::kDone;
    if (outcome.status != StoreStatus::kExists && outcome.status != StoreStatus::kNotFound) {
      return CommandResult::kNoMemory;
    }
  }
}

// --- ma ----------------------------------------------------------------------------------------

void MetaExecutor::Arithmetic(const Request& request, std::uint64_t hash) {
  const MetaFlagSet asked = FlagsOf(request);
  const std::string_view arguments = request.arguments;
  const auto mode = protocol::MetaTokenOf(arguments, 'M');
  const slab::HashedKey key{.bytes = request.key, .hash = hash};
  NumberChange change{.is_incr = !mode || mode->front() == 'I' || mode->front() == '+',
                      .delta = protocol::MetaNumberOf(arguments, 'D').value_or(1),
                      .cas_unique = NamedCas(arguments).value_or(0),
                      .chosen_cas = ChosenCas(arguments)};
  if (asked.has('T')) change.expiry = SignedExpiresAt(request.exptime);
  const auto plan = [&]() -> StorePlan {
    return {.spec = {.key = key, .expiry = ExpiryOfNew(request, protocol::kChangeReply)},
            .chosen_cas = change.chosen_cas};
  };
  const ChangeOutcome outcome =
      asked.has('N')
          ? ChangeOrCreate(key, change, protocol::MetaNumberOf(arguments, 'J').value_or(0), plan)
          : Change(key, change);
  switch (outcome.result) {
    case CommandResult::kDone:
      return AnswerNumber(request, outcome);
    case CommandResult::kMiss:
    case CommandResult::kForbidden:
      return AnswerOther(protocol::kMetaNotFound, request);
    case CommandResult::kExists:
      return AnswerOther(protocol::kMetaExists, request);
    case CommandResult::kNotNumeric:
      return output_.Append(protocol::kNonNumeric);
    default:
      return output_.Append(outcome.is_new ? protocol::kNoMemoryCreating : protocol::kNoMemory);
  }
}

void MetaExecutor::AnswerNumber(const Request& request, const ChangeOutcome& outcome) {
  const MetaFlagSet asked = FlagsOf(request);
  if (asked.has('q')) return;
  ShownItem shown{.key = request.key,
                  .is_key_encoded = asked.has('b'),
                  .expiry = outcome.expiry,
                  .cas = outcome.cas,
                  .is_new = outcome.is_new};
  std::array<char, protocol::kDecimalBytesMax> text;
  const std::string_view digits(text.data(), protocol::WriteDecimal(text.data(), outcome.number));
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

void MetaExecutor::Debug(const Request& request, std::uint64_t hash) {
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
