// The meta commands that change items: ms, md and ma.
#include <array>
#include <string>
#include <utility>

#include "protocol/encoding/numbers.h"
#include "protocol/meta/meta_reply.h"
#include "protocol/text/text_reply.h"
#include "server/command/meta_executor.h"
#include "slab/check.h"
#include "slab/sync/race_hook.h"

namespace larder::server {
namespace {

using protocol::LineRequest;
using protocol::MetaFlagSet;
using protocol::WriteText;
using slab::Item;
using slab::Presence;
using slab::Room;
using slab::StoreMode;
using slab::StoreStatus;

// The mode that the token of the flag M of an ms means; S, a set, is the default. The parser has
// refused other letters.
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

// The code of the reply to an ms. A lack of room is replied with an error, which has no code.
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
      LARDER_ASSERT(false && "replied as an error by AnswerStore()");
      break;
  }
  return {};
}

}  // namespace

// --- ms ----------------------------------------------------------------------------------------

// The views refer to the input, so the spec is valid for this request only; an Upload copies the
// key.
slab::ItemSpec MetaExecutor::SpecOf(const LineRequest& request, std::uint64_t hash) const {
  return {.key = {.bytes = request.key, .hash = hash},
          .client_flags = request.client_flags,
          .expiry = SignedExpiresAt(request.exptime),
          .value_bytes = request.value_bytes};
}

StorePlan MetaExecutor::PlanStore(const LineRequest& request, std::uint64_t hash) const {
  const MetaFlagSet asked = request.flags;
  // Whatever the mode, an ms that is refused for lack of room removes the old item, whose value is
  // out of date.
  StorePlan plan{.spec = SpecOf(request, hash), .if_refused = OldItem::kIsRemoved};
  if (asked.has('M')) plan.terms.mode = SetModeOf(request.arguments);
  if (asked.has('b')) plan.mark = slab::ItemMark::kBinaryKey;
  const auto chosen_cas = asked.has('E') ? ChosenCas(request.arguments) : std::nullopt;
  // As in memcached, a chosen CAS of 0 is none.
  if (chosen_cas && *chosen_cas != 0) plan.chosen_cas = chosen_cas;
  const StoreMode mode = plan.terms.mode;
  if (mode == StoreMode::kAppend || mode == StoreMode::kPrepend) {
    // The client flags and the expiry of a request to append or prepend are used only if there is
    // no item and the request creates one. The flag N asks for that and has the expiry.
    const auto exptime =
        asked.has('N') ? protocol::MetaExptimeOf(request.arguments, 'N') : std::nullopt;
    plan.terms.creates = exptime.has_value();
    plan.spec.expiry = SignedExpiresAt(exptime.value_or(0));
  }
  if (!asked.has('C')) return plan;
  // The flag C turns a set or a replace into a cas.
  plan.terms.cas_unique = NamedCas(request.arguments).value_or(0);
  if (mode == StoreMode::kSet || mode == StoreMode::kReplace) {
    plan.terms.mode = StoreMode::kCas;
    // With the flag I, an older CAS than that of the item is accepted, and the new item is stale.
    // It keeps the old item's expiry, so it needs room for one.
    plan.terms.is_stale_allowed = asked.has('I') && shared_.config.use_cas;
    plan.spec.has_expiry_room = plan.terms.is_stale_allowed;
  }
  return plan;
}

// A plan that needs no more than Cache::Store is recognised by Commands::Store().
void MetaExecutor::Set(const LineRequest& request, std::uint64_t hash) {
  const StorePlan plan = PlanStore(request, hash);
  AnswerStore(plan, Store(plan, request.value), request.arguments);
}

std::unique_ptr<Upload> MetaExecutor::BeginUpload(const LineRequest& request, std::uint64_t hash) {
  // The flags are copied, because the reply needs them after the line has left the input.
  auto upload = std::make_unique<Upload>(
      PlanStore(request, hash),
      UploadOrigin{.is_meta = true, .arguments = std::string(request.arguments)});
  // An item that could never be stored is refused before its value is received.
  const auto refusal = RefusalOf(*upload);
  if (!refusal) return upload;
  AnswerStore(upload->plan(), {.status = *refusal}, request.arguments);
  return nullptr;
}

bool MetaExecutor::ReserveUpload(Upload& upload, UploadMemory::Share share) {
  const auto refusal = ReserveRoom(upload, std::move(share));
  if (refusal) AnswerStore(upload.plan(), {.status = *refusal}, upload.origin.arguments);
  return !refusal;
}

void MetaExecutor::FinishUpload(Upload& upload) {
  LARDER_ASSERT(upload.origin.is_meta);
  LARDER_ASSERT(upload.left_bytes() == 0);
  AnswerStore(upload.plan(), Store(upload), upload.origin.arguments);
}

// Takes the flags as text, because the reply to an upload has no request any more.
void MetaExecutor::AnswerStore(const StorePlan& plan, const slab::StoreOutcome& outcome,
                               std::string_view arguments) {
  // These two are replied even to a quiet request.
  if (outcome.status == StoreStatus::kTooLarge) return output_.Append(protocol::kTooLarge);
  if (outcome.status == StoreStatus::kNoMemory) return output_.Append(protocol::kNoMemoryStoring);
  const bool is_stored = outcome.status == StoreStatus::kStored;
  // A quiet request gets no reply to a success.
  if (is_stored && protocol::MetaTokenOf(arguments, 'q')) return;
  // After an append or prepend the size of the whole value is shown.
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

// With x or I the item is not deleted but changed: observers see another operation.
void MetaExecutor::Delete(const LineRequest& request, std::uint64_t hash) {
  const MetaFlagSet asked = request.flags;
  // The key is a prefix.
  if (asked.has(protocol::kPrefixFlag)) return Drop(request);
  // The item is kept, with a mark or without its value.
  if (asked.has('x') || asked.has('I')) {
    const CommandResult result = asked.has('x') ? Empty(request, hash) : Invalidate(request, hash);
    observers_.Report({.operation = asked.has('x') ? Operation::kEmpty : Operation::kInvalidate,
                       .result = result});
    return AnswerDelete(request, result);
  }
  auto cas = asked.has('C') ? NamedCas(request.arguments) : std::nullopt;
  // While CAS is switched off, every item shows 0: it matches any item.
  if (!shared_.config.use_cas && cas == 0) cas.reset();
  AnswerDelete(request, Commands::Delete({.bytes = request.key, .hash = hash}, cas));
}

void MetaExecutor::Drop(const LineRequest& request) {
  // They ask for something else than to remove a group: to take that for a drop would lose it.
  constexpr MetaFlagSet kForOneItem = [] {
    MetaFlagSet flags;
    for (const char letter : {'C', 'E', 'I', 'T', 'x'}) flags.Add(letter);
    return flags;
  }();
  if (request.flags.has_any(kForOneItem)) {
    return output_.Append(protocol::ErrorText(protocol::LineError::kInvalidFlag));
  }
  switch (Commands::Drop(request.key)) {
    case DropResult::kDone:
      return AnswerDelete(request, CommandResult::kDone);
    case DropResult::kNotAllowed:
      return output_.Append(protocol::kDropNotAllowed);
    case DropResult::kTooMany:
      return output_.Append(protocol::kTooManyDrops);
  }
}

void MetaExecutor::AnswerDelete(const LineRequest& request, CommandResult result) {
  switch (result) {
    // A quiet request gets no reply to a success.
    case CommandResult::kDone:
      if (request.flags.has('q')) return;
      return AnswerOther(protocol::kMetaDone, request);
    case CommandResult::kMiss:
      return AnswerOther(protocol::kMetaNotFound, request);
    case CommandResult::kExists:
      return AnswerOther(protocol::kMetaExists, request);
    // The only result left is a lack of memory.
    default:
      LARDER_ASSERT(result == CommandResult::kNoMemory);
      return output_.Append(protocol::kNoMemory);
  }
}

// Marks an item as stale. The next client that reads it by an mg wins the right to replace it.
CommandResult MetaExecutor::Invalidate(const LineRequest& request, std::uint64_t hash) {
  const slab::HashedKey key{.bytes = request.key, .hash = hash};
  const auto named_cas = NamedCas(request.arguments);
  const auto chosen_cas = ChosenCas(request.arguments);
  // The flag T gives the stale item an expiry, after which it is gone.
  const auto expiry =
      request.flags.has('T') ? std::optional(SignedExpiresAt(request.exptime)) : std::nullopt;
  // Another round follows when the item had no room for what it was to get and was moved to a chunk
  // with room; it finds the moved item, or what another client has stored meanwhile.
  for (;;) {
    CommandResult result = CommandResult::kMiss;
    Room missing_room = Room::kNone;
    (void)cache_.Visit(key, lane_, [&](Item& item) {
      result = CommandResult::kExists;
      if (named_cas && *named_cas != ShownCas(item.cas())) return;
      missing_room = Renew(item, chosen_cas, expiry);
      if (missing_room != Room::kNone) return;
      // Changed last, so that an item without room for the rest stays as it was.
      item.MakeStale();
      result = CommandResult::kDone;
    });
    if (missing_room == Room::kNone) return result;
    if (AddRoom(missing_room, key) == slab::RoomStatus::kNoMemory) return CommandResult::kNoMemory;
  }
}

// Replaces the item by one without a value. The look-up and the store are two steps: the store
// succeeds only if the item was not written between them.
CommandResult MetaExecutor::Empty(const LineRequest& request, std::uint64_t hash) {
  const bool makes_stale = request.flags.has('I');
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
      plan.chosen_cas = ChosenCas(request.arguments);
      // The CAS stays, unless the item becomes stale.
      if (!plan.chosen_cas && !makes_stale) plan.chosen_cas = item.cas();
    });
    if (presence != Presence::kHit) return CommandResult::kMiss;
    if (is_other) return CommandResult::kExists;
    // Tests stop here, between the look-up and the store.
    slab::RaceHook::Reach(slab::RacePoint::kStoreSeen);
    const slab::StoreOutcome outcome = StoreUnreported(plan, {});
    if (outcome.status == StoreStatus::kStored) return CommandResult::kDone;
    // The item was changed or removed between the two steps: look again. Anything else is a lack of
    // memory.
    if (outcome.status != StoreStatus::kExists && outcome.status != StoreStatus::kNotFound) {
      LARDER_ASSERT(NeedsRoom(ResultOf(outcome.status)));
      return CommandResult::kNoMemory;
    }
  }
}

// --- ma ----------------------------------------------------------------------------------------

// The flags of ma: D is the delta, M the mode, C and E are CAS numbers, T a new expiry.
void MetaExecutor::Arithmetic(const LineRequest& request, std::uint64_t hash) {
  const MetaFlagSet asked = request.flags;
  const std::string_view arguments = request.arguments;
  const auto mode = protocol::MetaTokenOf(arguments, 'M');
  const slab::HashedKey key{.bytes = request.key, .hash = hash};
  // The modes of ma: I or + for incr, which is the default; D or - for decr.
  NumberChange change{.is_incr = !mode || mode->front() == 'I' || mode->front() == '+',
                      .delta = protocol::MetaNumberOf(arguments, 'D').value_or(1),
                      .cas_unique = NamedCas(arguments).value_or(0),
                      .chosen_cas = ChosenCas(arguments)};
  if (asked.has('T')) change.expiry = SignedExpiresAt(request.exptime);
  // The item that is created if there is none and the flag N asks for it; J has its number.
  const auto plan = [&]() -> StorePlan {
    return {.spec = {.key = key, .expiry = ExpiryOfNew(request, protocol::kChangeReply)},
            .chosen_cas = change.chosen_cas};
  };
  // Without N a missing item is not created.
  const ChangeOutcome outcome =
      asked.has('N')
          ? ChangeOrCreate(key, change, protocol::MetaNumberOf(arguments, 'J').value_or(0), plan)
          : Change(key, change);
  switch (outcome.result) {
    case CommandResult::kDone:
      return AnswerNumber(request, outcome);
    case CommandResult::kMiss:
    // The key that is never stored is answered like one that is not there.
    case CommandResult::kForbidden:
      return AnswerOther(protocol::kMetaNotFound, request);
    case CommandResult::kExists:
      return AnswerOther(protocol::kMetaExists, request);
    case CommandResult::kNotNumeric:
      return output_.Append(protocol::kNonNumeric);
    // What remains is a lack of memory, for the new item or for a longer number.
    default:
      LARDER_ASSERT(outcome.result == CommandResult::kNoMemory);
      return output_.Append(outcome.is_new ? protocol::kNoMemoryCreating : protocol::kNoMemory);
  }
}

// The reply shows the state after the change, except the expiry, which the flag T changes where it
// stands.
void MetaExecutor::AnswerNumber(const LineRequest& request, const ChangeOutcome& outcome) {
  LARDER_ASSERT(outcome.result == CommandResult::kDone);
  const MetaFlagSet asked = request.flags;
  // A quiet request gets no reply to a success.
  if (asked.has('q')) return;
  ShownItem shown{.key = request.key,
                  .is_key_encoded = asked.has('b'),
                  .expiry = outcome.expiry,
                  .cas = outcome.cas,
                  .is_new = outcome.is_new};
  std::array<char, protocol::kDecimalBytesMax> text;
  const std::string_view digits(text.data(), protocol::WriteDecimal(text.data(), outcome.number));
  char* out = output_.Room(protocol::kMetaLineBytesMax + digits.size() + protocol::kCrlf.size());
  // The number is the value of the reply, if the client asks for the value.
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

}  // namespace larder::server
