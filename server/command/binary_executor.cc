// The commands of the binary protocol, except `config`, which is in cluster_commands.cc, and the
// login, which is in login_commands.cc.
#include "server/command/binary_executor.h"

#include <array>
#include <cstring>
#include <utility>

#include "protocol/encoding/numbers.h"
#include "protocol/encoding/write.h"
#include "server/authenticator.h"
#include "server/config/version.h"
#include "server/reporter.h"
#include "slab/check.h"

namespace larder::server {
namespace {

using protocol::BinaryRequest;
using protocol::BinaryStatus;
using protocol::BinaryVerb;
using protocol::Echo;
using slab::Item;
using slab::Presence;
using slab::StoreMode;
using slab::StoreStatus;

// How many seconds before its start memcached takes for its start, so that no time is 0.
constexpr std::uint32_t kEarlyStartS = 62;

// The mode of a storage request that names no CAS.
StoreMode ModeOf(BinaryVerb verb) {
  switch (verb) {
    case BinaryVerb::kAdd:
      return StoreMode::kAdd;
    case BinaryVerb::kReplace:
      return StoreMode::kReplace;
    case BinaryVerb::kAppend:
      return StoreMode::kAppend;
    case BinaryVerb::kPrepend:
      return StoreMode::kPrepend;
    default:
      LARDER_ASSERT(verb == BinaryVerb::kSet);
      return StoreMode::kSet;
  }
}

// The status of the reply to a store. A store that was refused because of the presence of an item
// has a status that depends on the command.
BinaryStatus StatusOf(StoreMode mode, StoreStatus status) {
  switch (status) {
    case StoreStatus::kStored:
      return BinaryStatus::kSuccess;
    case StoreStatus::kNotStored:
      if (mode == StoreMode::kAdd) return BinaryStatus::kKeyExists;
      if (mode == StoreMode::kReplace) return BinaryStatus::kKeyNotFound;
      return BinaryStatus::kItemNotStored;
    case StoreStatus::kForbidden:
      return BinaryStatus::kItemNotStored;
    case StoreStatus::kExists:
      return BinaryStatus::kKeyExists;
    case StoreStatus::kNotFound:
      return BinaryStatus::kKeyNotFound;
    case StoreStatus::kTooLarge:
      return BinaryStatus::kValueTooLarge;
    case StoreStatus::kNoMemory:
      return BinaryStatus::kOutOfMemory;
  }
  LARDER_ASSERT(false && "a status without a reply");
  return BinaryStatus::kItemNotStored;
}

// Whether a request replaces, changes or removes an item.
IsWrite WritesItem(const BinaryRequest& request) {
  switch (request.verb) {
    case BinaryVerb::kSet:
    case BinaryVerb::kAdd:
    case BinaryVerb::kReplace:
    case BinaryVerb::kAppend:
    case BinaryVerb::kPrepend:
    case BinaryVerb::kDelete:
    case BinaryVerb::kIncr:
    case BinaryVerb::kDecr:
      return IsWrite::kYes;
    default:
      return IsWrite::kNo;
  }
}

}  // namespace

// The frequent commands. It is inlined into the loop over a batch, so it has to stay small.
Next BinaryExecutor::Execute(const BinaryRequest& request, std::uint64_t hash) {
  switch (request.verb) {
    case BinaryVerb::kGet:
    case BinaryVerb::kGetK:
    case BinaryVerb::kGat:
    case BinaryVerb::kGatK:
      Get(request, hash);
      break;
    case BinaryVerb::kSet:
    case BinaryVerb::kAdd:
    case BinaryVerb::kReplace:
    case BinaryVerb::kAppend:
    case BinaryVerb::kPrepend:
      Store(request, hash);
      break;
    // All other commands. ExecuteRarer() has the complete list, so that the compiler reports one
    // that is missing.
    default:
      return ExecuteRarer(request, hash);
  }
  return Next::kGoOn;
}

bool BinaryExecutor::IsRetrieval(const BinaryRequest& request) noexcept {
  return IsRead(request) || request.verb == BinaryVerb::kGat || request.verb == BinaryVerb::kGatK;
}

bool BinaryExecutor::IsRead(const BinaryRequest& request) noexcept {
  return request.verb == BinaryVerb::kGet || request.verb == BinaryVerb::kGetK;
}

void BinaryExecutor::ShowBefore(const BinaryRequest& request, std::uint64_t hash) {
  Commands::ShowBefore({.bytes = request.key, .hash = hash}, WritesItem(request));
}

// Kept apart from Execute(): the compiler would have retrievals save registers that only these
// commands need.
Next BinaryExecutor::ExecuteRarer(const BinaryRequest& request, std::uint64_t hash) {
  switch (request.verb) {
    case BinaryVerb::kDelete:
      Delete(request, hash);
      break;
    case BinaryVerb::kTouch:
      Touch(request, hash);
      break;
    case BinaryVerb::kIncr:
    case BinaryVerb::kDecr:
      Arithmetic(request, hash);
      break;
    case BinaryVerb::kFlush:
      Flush(request);
      break;
    case BinaryVerb::kNoop:
      AnswerSuccess(request.echo(), 0);
      break;
    case BinaryVerb::kVersion:
      AnswerSuccess(request.echo(), 0, WireVersion());
      break;
    case BinaryVerb::kQuit:
      // A quiet quit closes the connection without a reply.
      if (!request.is_quiet) AnswerSuccess(request.echo(), 0);
      return Next::kClose;
    case BinaryVerb::kStat:
      // Statistics are produced by another thread, because some take long.
      return Next::kStream;
    case BinaryVerb::kSaslList:
    case BinaryVerb::kSaslAuth:
    case BinaryVerb::kSaslStep:
      // Without SASL its commands are unknown.
      if (shared_.authenticator.sasl() != nullptr) return Next::kLogIn;
      AnswerError(request.echo(), BinaryStatus::kUnknownCommand);
      break;
    case BinaryVerb::kConfigGet:
      ConfigGet(request);
      break;
    case BinaryVerb::kConfigSet:
      ConfigSet(request);
      break;
    case BinaryVerb::kConfigDelete:
      ConfigDelete(request);
      break;
    case BinaryVerb::kNone:
      return Refuse(request);
    case BinaryVerb::kGet:
    case BinaryVerb::kGetK:
    case BinaryVerb::kGat:
    case BinaryVerb::kGatK:
    case BinaryVerb::kSet:
    case BinaryVerb::kAdd:
    case BinaryVerb::kReplace:
    case BinaryVerb::kAppend:
    case BinaryVerb::kPrepend:
      LARDER_ASSERT(false && "executed by Execute()");
      break;
  }
  return Next::kGoOn;
}

// The replies to packets that are not valid requests, as memcached gives them.
Next BinaryExecutor::Refuse(const BinaryRequest& request) {
  LARDER_ASSERT(request.verb == BinaryVerb::kNone);
  switch (request.error) {
    // The packet is well-formed: it is skipped and the connection continues.
    case protocol::PacketError::kUnknownCommand:
      AnswerError(request.echo(), BinaryStatus::kUnknownCommand);
      return Next::kGoOn;
    // Key and extras are longer than the body, so the next packet cannot be found.
    case protocol::PacketError::kBadBodyLength:
      AnswerError(request.echo(), BinaryStatus::kUnknownCommand);
      return Next::kFail;
    // The packet does not have the parts that its command needs. memcached closes the connection.
    default:
      AnswerError(request.echo(), BinaryStatus::kInvalidArguments);
      return Next::kFail;
  }
}

// --- Retrieval ---------------------------------------------------------------------------------

// Inlined into both look-ups of Get(): a call would cost every retrieval.
[[gnu::always_inline]] inline char* BinaryExecutor::WriteHit(Item& item, std::uint32_t value_bytes,
                                                             const BinaryRequest& request,
                                                             char* out) {
  const bool with_key = request.verb == BinaryVerb::kGetK || request.verb == BinaryVerb::kGatK;
  out = protocol::WriteReplyHead(out, request.echo(),
                                 {.extras_bytes = sizeof(std::uint32_t),
                                  .key_bytes = with_key ? request.key.size() : 0,
                                  .value_bytes = value_bytes,
                                  .cas = CasShown(item.cas())});
  // The extras of the reply are the item's flags.
  protocol::StoreBig(out, item.client_flags());
  out += sizeof(std::uint32_t);
  if (with_key) out = protocol::WriteKey(out, request.key);
  return WriteValue(item, value_bytes, out);
}

[[gnu::always_inline]] inline void BinaryExecutor::Get(const BinaryRequest& request,
                                                       std::uint64_t hash) {
  // The room is enough for every value that is copied, so that one check suffices for the whole
  // reply.
  char* out = output_.Room(protocol::kHitHeadBytesMax + kPinBytesMin + kTailBytesMax);
  const slab::HashedKey key{.bytes = request.key, .hash = hash};
  const auto write = [&](Item & item, std::uint32_t value_bytes, const auto& note_use)
      __attribute__((always_inline)) {
    // The reply shows nothing that a use changes, so the use is recorded first.
    note_use();
    out = WriteHit(item, value_bytes, request, out);
  };
  const bool touches = request.verb == BinaryVerb::kGat || request.verb == BinaryVerb::kGatK;
  Presence presence = Presence::kMiss;
  // gat and gatk set the expiry in the same look-up.
  if (touches) [[unlikely]] {
    presence = Commands::GetAndTouch(key, ExpiresAt(request), write);
  } else {
    presence = Commands::Get(key, write);
  }
  output_.Commit(out);
  if (presence != Presence::kHit) {
    Miss(request, touches ? Operation::kGetAndTouch : Operation::kGet, presence);
  }
}

void BinaryExecutor::Miss(const BinaryRequest& request, Operation operation, Presence presence) {
  LARDER_ASSERT(presence != Presence::kHit);
  // The item is there, but there is no memory for its expiry.
  if (presence == Presence::kNoRoom) {
    return AnswerError(request.echo(), BinaryStatus::kOutOfMemory, protocol::kNoMemoryForItem);
  }
  const auto cluster = ReportMiss(request.key, operation, presence);
  if (cluster != nullptr) return AnswerCluster(request, *cluster);
  // A quiet retrieval gets no reply to a miss.
  if (request.is_quiet) return;
  const bool with_key = request.verb == BinaryVerb::kGetK || request.verb == BinaryVerb::kGatK;
  // The reply to a miss repeats the key if the reply to a hit would have it.
  if (!with_key) return AnswerError(request.echo(), BinaryStatus::kKeyNotFound);
  char* out = output_.Room(protocol::kHitHeadBytesMax);
  out = protocol::WriteReplyHead(
      out, request.echo(), {.status = BinaryStatus::kKeyNotFound, .key_bytes = request.key.size()});
  output_.Commit(protocol::WriteKey(out, request.key));
}

// --- Storage -----------------------------------------------------------------------------------

// Only a set removes the old item when it is refused: the other commands depend on the present
// item. While CAS is switched off, the request's CAS is ignored.
BinaryExecutor::PlainStore BinaryExecutor::HowToStore(const BinaryRequest& request) const {
  const StoreMode asked = ModeOf(request.verb);
  PlainStore store{.mode = asked,
                   .cas_unique = shared_.config.use_cas ? request.cas : 0,
                   .if_refused = asked == StoreMode::kSet ? OldItem::kIsRemoved : OldItem::kStays};
  const bool concatenates = asked == StoreMode::kAppend || asked == StoreMode::kPrepend;
  // As in memcached, a request with a CAS is a cas, whether it is a set, an add or a replace.
  if (store.cas_unique != 0 && !concatenates) store.mode = StoreMode::kCas;
  return store;
}

// The views refer to the input, so the spec is valid for this request only; an Upload copies the
// key.
slab::ItemSpec BinaryExecutor::SpecOf(const BinaryRequest& request, std::uint64_t hash) const {
  return {.key = {.bytes = request.key, .hash = hash},
          .client_flags = request.client_flags,
          .expiry = ExpiresAt(request),
          .value_bytes = request.value_bytes};
}

void BinaryExecutor::Store(const BinaryRequest& request, std::uint64_t hash) {
  const PlainStore store = HowToStore(request);
  const slab::StoreOutcome outcome = Commands::Store(store, SpecOf(request, hash), request.value);
  if (outcome.status != StoreStatus::kStored) [[unlikely]]
    return AnswerRefusedStore(request.echo(), store.mode, outcome.status);
  // A quiet request gets no reply to a success.
  if (!request.is_quiet) AnswerSuccess(request.echo(), CasShown(outcome.cas));
}

std::unique_ptr<Upload> BinaryExecutor::BeginUpload(const BinaryRequest& request,
                                                    std::uint64_t hash) {
  const PlainStore store = HowToStore(request);
  // The value is stored on the terms of Store(), which stores values that have arrived completely.
  const StorePlan plan{.spec = SpecOf(request, hash),
                       .terms = {.mode = store.mode, .cas_unique = store.cas_unique},
                       .if_refused = store.if_refused};
  auto upload = std::make_unique<Upload>(
      plan, UploadOrigin{.noreply = request.is_quiet, .echo = request.echo()});
  // An item that could never be stored is refused before its value is received.
  const auto refusal = RefusalOf(*upload);
  if (!refusal) return upload;
  AnswerRefusedStore(request.echo(), store.mode, *refusal);
  return nullptr;
}

// The upload has kept what the reply needs of the request, which has left the input.
bool BinaryExecutor::ReserveUpload(Upload& upload, UploadMemory::Share share) {
  const auto refusal = ReserveRoom(upload, std::move(share));
  if (refusal) AnswerRefusedStore(upload.origin.echo, upload.plan().terms.mode, *refusal);
  return !refusal;
}

void BinaryExecutor::FinishUpload(Upload& upload) {
  LARDER_ASSERT(upload.left_bytes() == 0);
  const slab::StoreOutcome outcome = Commands::Store(upload);
  const Echo& echo = upload.origin.echo;
  if (outcome.status != StoreStatus::kStored) {
    return AnswerRefusedStore(echo, upload.plan().terms.mode, outcome.status);
  }
  if (!upload.origin.noreply) AnswerSuccess(echo, CasShown(outcome.cas));
}

void BinaryExecutor::AnswerRefusedStore(const Echo& echo, StoreMode mode, StoreStatus status) {
  // memcached's text for this command differs from that of the status.
  if (status == StoreStatus::kNoMemory) {
    return AnswerError(echo, BinaryStatus::kOutOfMemory, protocol::kNoMemoryForItem);
  }
  AnswerError(echo, StatusOf(mode, status));
}

// --- Single keys -------------------------------------------------------------------------------

std::uint64_t BinaryExecutor::CasWanted(std::uint64_t cas) const {
  return cas != 0 && !shared_.config.use_cas ? kCasOfNoItem : cas;
}

// A delete with a CAS removes the item only if its CAS is the same. Errors are replied to quiet
// requests, too.
void BinaryExecutor::Delete(const BinaryRequest& request, std::uint64_t hash) {
  const std::uint64_t cas = CasWanted(request.cas);
  const CommandResult result = Commands::Delete({.bytes = request.key, .hash = hash},
                                                cas != 0 ? std::optional(cas) : std::nullopt);
  if (result == CommandResult::kDone) {
    if (!request.is_quiet) AnswerSuccess(request.echo(), 0);
    return;
  }
  LARDER_ASSERT(result == CommandResult::kMiss || result == CommandResult::kExists);
  AnswerError(request.echo(), result == CommandResult::kMiss ? BinaryStatus::kKeyNotFound
                                                             : BinaryStatus::kKeyExists);
}

void BinaryExecutor::Touch(const BinaryRequest& request, std::uint64_t hash) {
  // The reply is written under the bucket's lock, since it shows the item's flags and CAS.
  char* out = output_.Room(protocol::kHitHeadBytesMax);
  const Presence presence =
      Commands::Touch({.bytes = request.key, .hash = hash}, ExpiresAt(request),
                      [&](const Item& item, std::uint32_t, const auto& note_use) {
                        note_use();
                        out = protocol::WriteReplyHead(
                            out, request.echo(),
                            {.extras_bytes = sizeof(std::uint32_t), .cas = CasShown(item.cas())});
                        protocol::StoreBig(out, item.client_flags());
                        out += sizeof(std::uint32_t);
                      });
  output_.Commit(out);
  if (presence == Presence::kHit) return;
  if (presence == Presence::kNoRoom) {
    return AnswerError(request.echo(), BinaryStatus::kOutOfMemory, protocol::kNoMemoryForItem);
  }
  AnswerError(request.echo(), BinaryStatus::kKeyNotFound);
}

void BinaryExecutor::Arithmetic(const BinaryRequest& request, std::uint64_t hash) {
  LARDER_ASSERT(request.verb == BinaryVerb::kIncr || request.verb == BinaryVerb::kDecr);
  const slab::HashedKey key{.bytes = request.key, .hash = hash};
  const NumberChange change{.is_incr = request.verb == BinaryVerb::kIncr,
                            .delta = request.delta,
                            .cas_unique = CasWanted(request.cas)};
  // This exptime means that a missing item is not created.
  if (request.exptime == protocol::kNeverCreate) {
    return AnswerChange(request, Change(key, change));
  }
  // As in memcached, the new item has the initial number only, and its creation counts neither as a
  // hit nor as a miss.
  const auto plan = [&]() -> StorePlan {
    return {.spec = {.key = key, .expiry = ExpiresAt(request)}};
  };
  AnswerChange(request, ChangeOrCreate(key, change, request.initial(), plan));
}

// The number in the reply is that after the change, and the CAS is that of the changed item.
void BinaryExecutor::AnswerChange(const BinaryRequest& request, const ChangeOutcome& outcome) {
  const Echo echo = request.echo();
  switch (outcome.result) {
    case CommandResult::kDone: {
      if (request.is_quiet) return;
      // The reply has the number in 8 bytes, while the item has it in decimal digits.
      std::array<char, sizeof outcome.number> number;
      protocol::StoreBig(number.data(), outcome.number);
      return AnswerSuccess(echo, CasShown(outcome.cas), {number.data(), number.size()});
    }
    case CommandResult::kMiss:
    // The key that is never stored is answered like one that is not there.
    case CommandResult::kForbidden:
      return AnswerError(echo, BinaryStatus::kKeyNotFound);
    case CommandResult::kExists:
      return AnswerError(echo, BinaryStatus::kKeyExists);
    case CommandResult::kNotNumeric:
      return AnswerError(echo, BinaryStatus::kValueNotNumeric);
    // What remains is a lack of memory, for the new item or for a longer number.
    default:
      LARDER_ASSERT(outcome.result == CommandResult::kNoMemory);
      return AnswerError(
          echo, BinaryStatus::kOutOfMemory,
          outcome.is_new ? protocol::kNoMemoryForNewItem : protocol::kNoMemoryForNumber);
  }
}

// --- Statistics --------------------------------------------------------------------------------

// The key of the packet names the group of statistics, and each statistic is one reply packet.
std::unique_ptr<ReplyStream> BinaryExecutor::BeginStream(const BinaryRequest& request,
                                                         std::function<void()> wake) {
  LARDER_ASSERT(request.verb == BinaryVerb::kStat);
  return shared_.reporter.Ask(request.key, request.echo(), counters_.buffers, std::move(wake));
}

// --- Administration ----------------------------------------------------------------------------

void BinaryExecutor::Flush(const BinaryRequest& request) {
  if (!shared_.config.flush_enabled) {
    return AnswerError(request.echo(), BinaryStatus::kAuthError);
  }
  counters_.Add(Stat::kCmdFlush);
  const std::uint32_t exptime = request.exptime;
  const slab::Now started{.now_s = shared_.clock.started_s(), .wall_ahead_s = lane_.wall_ahead_s};
  // A Unix time from before the start of the server, which memcached sets a minute early: it takes
  // it for no time at all, and also drops a flush that is pending.
  if (exptime > kRelativeExptimeMax && std::uint64_t{exptime} + kEarlyStartS <= started.wall_s()) {
    shared_.flush_due.store({}, std::memory_order_relaxed);
  } else {
    FlushAt(ExpiresAt(request));
  }
  if (!request.is_quiet) AnswerSuccess(request.echo(), 0);
}

// --- Replies -----------------------------------------------------------------------------------

// The reply repeats the opcode and the opaque of the request, which `echo` has.
void BinaryExecutor::AnswerSuccess(const Echo& echo, std::uint64_t cas, std::string_view value) {
  char* out = output_.Room(protocol::kPacketHeadBytes + value.size());
  out = protocol::WriteReplyHead(out, echo, {.value_bytes = value.size(), .cas = cas});
  if (!value.empty()) std::memcpy(out, value.data(), value.size());
  output_.Commit(out + value.size());
}

// The text is sent as the value of the reply.
void BinaryExecutor::AnswerError(const Echo& echo, BinaryStatus status, std::string_view text) {
  LARDER_ASSERT(status != BinaryStatus::kSuccess);
  LARDER_ASSERT(text.data() != nullptr);
  char* out = output_.Room(protocol::kPacketHeadBytes + text.size());
  out = protocol::WriteReplyHead(out, echo, {.status = status, .value_bytes = text.size()});
  std::memcpy(out, text.data(), text.size());
  output_.Commit(out + text.size());
}

}  // namespace larder::server
